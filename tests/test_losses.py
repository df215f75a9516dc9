"""Losses against closed forms and slow versions: level weights, perceptual distance, adversarial pair, divergence."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from tinct.diffusion import SCHEDULES, TARGETS, Level, Schedule, diffuse
from tinct.losses import ADVERSARIAL, WEIGHTINGS, divergence, min_snr, perceptual, trust
from tinct.nets import features
from tinct.nets.features import FEATURES
from tinct.nets.taps import Chain, Taps

GAMMA = 5.0


def levels(name: str = "cosine") -> Level:
    """All levels of a schedule."""
    return Schedule.named(name, 1000).levels(torch.arange(1000))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("target", "closed_form"),
    [
        ("eps", lambda snr: np.minimum(snr, GAMMA) / snr),
        ("x0", lambda snr: np.minimum(snr, GAMMA)),
        ("v", lambda snr: np.minimum(snr, GAMMA) / (snr + 1)),
    ],
)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_min_snr_is_its_closed_form(schedule, target, closed_form):
    weight = min_snr(levels(schedule), TARGETS[target], GAMMA).flatten()
    alpha_bar = Schedule.named(schedule, 1000).alpha_bar.numpy()
    assert_close(weight.double().numpy(), closed_form(alpha_bar / (1 - alpha_bar)), rtol=2e-3, atol=1e-9)


@pytest.mark.parametrize("target", TARGETS)
def test_min_snr_weighs_the_error_of_x_0_whatever_is_predicted(target):
    level, x_0, eps = levels(), noise(1000, 1, 1, 1), noise(1000, 1, 1, 1, seed=1)
    x_t, wanted = diffuse(x_0, eps, level), TARGETS[target].of(x_0, eps, level)
    prediction = wanted + noise(1000, 1, 1, 1, seed=2)
    off = TARGETS[target].x_0(prediction, x_t, level) - TARGETS[target].x_0(wanted, x_t, level)
    snr = (level.alpha / level.sigma).square()
    weighted = min_snr(level, TARGETS[target], GAMMA) * (prediction - wanted).square()
    middle = slice(50, 950)  # where the difference of two estimates still has digits
    assert_close(weighted[middle], (snr.clamp(max=GAMMA) * off.square())[middle], rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_weights_are_finite_at_every_level(schedule, weighting):
    for target in TARGETS.values():
        weight = WEIGHTINGS[weighting](levels(schedule), target, GAMMA)
        assert weight.shape == (1000, 1, 1, 1)
        assert weight.isfinite().all()
        assert (weight > 0).all()
    assert (WEIGHTINGS["none"](levels(schedule), TARGETS["eps"], GAMMA) == 1).all()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_an_estimate_is_trusted_as_far_as_x_t_is_signal(schedule):
    alpha_bar = Schedule.named(schedule, 1000).alpha_bar
    trusted = trust(levels(schedule)).double()
    assert_close(trusted, alpha_bar, rtol=1e-3, atol=1e-7)  # snr / (snr + 1), as alpha_bar + (1 - alpha_bar) = 1
    assert (trusted.diff() < 0).all()
    exploding = Level(
        t=torch.zeros(2, 1, 1, 1), alpha=torch.ones(2, 1, 1, 1), sigma=torch.tensor([1.0, 3.0]).view(2, 1, 1, 1)
    )
    assert_close(trust(exploding), torch.tensor([0.5, 0.1]))


def small_taps() -> Taps:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(inplace=True)]
    return Chain(layers, taps=(1, 4), channels=(4, 6)).requires_grad_(False)


def written_out(result: Tensor, truth: Tensor, network: Taps) -> float:
    """Equation 2 of Johnson et al. over the truth's own size, number after number, in ImageNet's own terms of [0, 1]."""
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    one, other = (
        network((((picture + 1) / 2 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1))[None])
        for picture in (result, truth)
    )
    distances = []
    for got, wanted in zip(one, other, strict=True):
        _, channels, height, width = wanted.shape
        difference = size = 0.0
        for a, b in zip(got.flatten().tolist(), wanted.flatten().tolist(), strict=True):
            difference += (a - b) ** 2 / (channels * height * width)
            size += b**2 / (channels * height * width)
        distances.append(difference / size)
    return sum(distances) / len(distances)


def test_the_perceptual_distance_is_the_slow_one_for_each_result_of_a_truth():
    network, truths, results = small_taps(), noise(2, 3, 12, 15).tanh(), noise(6, 3, 12, 15, seed=1).tanh()
    distances = perceptual(results, truths, network)
    expected = [written_out(result, truths[index // 3], network) for index, result in enumerate(results)]
    assert_close(distances, torch.tensor(expected), rtol=1e-4, atol=0)


def test_the_perceptual_distance_through_vgg16_is_the_slow_one(feature_weights):
    network = features.load("vgg16", feature_weights / FEATURES["vgg16"].published.file).network
    truth, result = noise(1, 3, 16, 16).tanh(), noise(1, 3, 16, 16, seed=1).tanh()
    expected = written_out(result[0], truth[0], network)
    assert_close(perceptual(result, truth, network), torch.tensor([expected]), rtol=1e-3, atol=0)


def test_taps_count_alike_however_large_their_features_are():
    """The same network with its first tap a hundred times as large, and what follows as it was."""
    network, louder, truth, result = (
        small_taps(),
        small_taps(),
        noise(1, 3, 12, 12).tanh(),
        noise(1, 3, 12, 12, seed=1).tanh(),
    )
    louder.features[0].weight.mul_(100)
    louder.features[0].bias.mul_(100)
    louder.features[3].weight.div_(100)
    assert_close(perceptual(result, truth, louder), perceptual(result, truth, network))
    assert network(truth)[0].square().mean() < 1e-3 * louder(truth)[0].square().mean()


def test_the_perceptual_distance_of_a_picture_to_itself_is_nothing_and_moves_the_result_alone():
    network = small_taps()
    truth = noise(2, 3, 12, 12).tanh().requires_grad_()
    assert (perceptual(truth.detach(), truth, network) == 0).all()
    result = noise(2, 3, 12, 12, seed=1).tanh().requires_grad_()
    perceptual(result, truth, network).sum().backward()
    assert truth.grad is None
    assert all(parameter.grad is None for parameter in network.parameters())
    with torch.no_grad():
        nearer = result - 1e-2 * result.grad
    assert (perceptual(nearer, truth, network) < perceptual(result, truth, network)).all()


def test_bce_is_torchs_and_does_not_overflow():
    scores = 3 * noise(4, 1, 2, 3)
    for true in (True, False):
        expected = F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, float(true)), reduction="none")
        assert_close(ADVERSARIAL["bce"](scores, true), expected.mean(dim=(1, 2, 3)))
    assert_close(ADVERSARIAL["bce"](torch.full((1, 1, 1, 1), -1e4), True), torch.tensor([1e4]))


def test_least_squares_is_written_out():
    scores = torch.tensor([[0.0, 1.0], [2.0, -1.0]]).view(2, 1, 1, 2)
    assert_close(ADVERSARIAL["least-squares"](scores, True), torch.tensor([0.5, 2.5]))
    assert_close(ADVERSARIAL["least-squares"](scores, False), torch.tensor([0.5, 2.5]))


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_an_adversarial_loss_wants_true_scores_above_false_ones(name):
    """Its gradient drives scores of true pictures up and of false ones down, and it is smallest there."""
    loss = ADVERSARIAL[name]
    scores = torch.full((1, 1, 2, 2), 0.5, requires_grad=True)
    (up,) = torch.autograd.grad(loss(scores, True).sum(), scores)
    (down,) = torch.autograd.grad(loss(scores, False).sum(), scores)
    assert (up < 0).all()
    assert (down > 0).all()


def test_the_divergence_is_that_of_torchs_distributions():
    mean, log_variance = 3 * noise(6, 5).double(), 2 * noise(6, 5, seed=1).double()
    gaussian = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    unit = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    assert_close(divergence(mean, log_variance), torch.distributions.kl_divergence(gaussian, unit).sum(dim=1))
    assert_close(divergence(0 * mean, 0 * mean), torch.zeros(6).double())
