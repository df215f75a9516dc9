"""The perceptual and the adversarial loss of the diffusion families: what they see, whom they move, when they count."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from conftest import make_pictures
from tinct.color import SPACES, luma
from tinct.config import from_dict
from tinct.diffusion import TARGETS
from tinct.errors import ConfigError, UnknownName
from tinct.families import FAMILIES, Batch, Colorizer, Objective, generators_for
from tinct.losses import perceptual
from tinct.nets import features
from tinct.nets.features import FEATURES, NotAvailable

COUNT, SIDE = 4, 16
NETWORKS = {
    "unetddpm": {"features": [8, 16], "time_embedding": 16, "dropout": 0.0},
    "splitdpm": {"encoder": [8, 8, 16], "denoiser": [8, 16], "deep_blocks": 2},
}
BOTH = {"perceptual": {"weight": 0.1}, "adversarial": {"weight": 0.01, "discriminator_width": 8}}


def built(name: str = "unetddpm", **changes) -> Colorizer:
    torch.manual_seed(0)
    options = {"size": SIDE, "network": NETWORKS[name], **changes}
    model = FAMILIES[name].build(from_dict(FAMILIES[name].Options, options))
    with torch.no_grad():  # fresh networks begin as the identity, and would hide what they read
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape))
    return model


def players_of(model: Colorizer, losses: dict, weights=None) -> list[Objective]:
    family = FAMILIES["splitdpm" if model.options.backbone == "split" else "unetddpm"]
    torch.manual_seed(1)
    return family.objectives(model, from_dict(family.Losses, losses), 4, weights)


def batch(count: int = COUNT, first: int = 0, side: int = SIDE) -> Batch:
    chosen = slice(first, first + count)
    rgb, labels = (torch.tensor(part[chosen]) for part in make_pictures(2 * COUNT, side))
    return Batch(rgb.permute(0, 3, 1, 2), labels, generators_for(range(2 * COUNT)[chosen]))


def total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def gradients(module: torch.nn.Module) -> list[Tensor]:
    return [parameter.grad for parameter in module.parameters() if parameter.grad is not None]


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No feature weights anywhere, and no server that has them."""
    monkeypatch.delenv("TINCT_FEATURE_WEIGHTS", raising=False)
    monkeypatch.setenv("TINCT_FEATURE_ADDRESS", "http://127.0.0.1:9/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_loss_of_weight_nothing_costs_nothing(nowhere):
    (player,) = players_of(built(), {})
    assert player(batch()).keys() == {"mse"}
    assert player.last_onset == 1


@pytest.mark.parametrize(("network", "other"), [("vgg16", "squeezenet"), ("squeezenet", "vgg16")])
def test_missing_weights_are_named_with_the_other_choice(network, other, nowhere):
    with pytest.raises(NotAvailable) as caught:
        players_of(built(size=32), {"perceptual": {"weight": 0.1, "network": network}})
    published = FEATURES["squeezenet1_1" if network == "squeezenet" else network].published
    wanted = (f"through {network}", published.file, published.address, "--feature-weights", f"network={other}")
    assert [part for part in wanted if part not in str(caught.value)] == []


def test_the_perceptual_weights_are_downloaded_when_they_lie_nowhere(nowhere, monkeypatch, feature_weights, tmp_path):
    """From a folder that is given as the mirror. What is there is not the published file, which is said."""
    monkeypatch.setenv("TINCT_FEATURE_ADDRESS", feature_weights.as_uri())
    with pytest.raises(NotAvailable, match=r"vgg16.*is not the published file: .* nothing was kept"):
        players_of(built(), {"perceptual": {"weight": 0.1}}, tmp_path)


@pytest.mark.parametrize(
    ("losses", "error", "message"),
    [
        ({"mse": 0}, ConfigError, "nothing is minimized in stage 1"),
        ({"mse": 0, "adversarial": {"weight": 0.1, "from_stage": 2}}, ConfigError, "nothing is minimized in stage 1"),
        (
            {"perceptual": {"weight": 1, "network": "squeezenet"}},
            ConfigError,
            "takes pictures of 17 px or more, not 16",
        ),
        ({"perceptual": {"network": "vgg61"}}, UnknownName, "Did you mean 'vgg16'"),
        ({"weighting": "minsnr"}, UnknownName, "Did you mean 'min-snr'"),
        ({"adversarial": {"criterion": "bse"}}, UnknownName, "Did you mean 'bce'"),
        ({"perceptual": {"weight": -0.1}}, ConfigError, "weight = -0.1: must be at least 0"),
    ],
)
def test_wrong_losses_are_refused(losses, error, message):
    with pytest.raises(error, match=message):
        players_of(built(), losses)


def test_a_model_of_small_pictures_has_no_discriminator():
    with pytest.raises(ConfigError, match=r"needs pictures of 16 px or more, not 8 px\. Set loss.adversarial.weight=0"):
        players_of(built(size=8), {"adversarial": {"weight": 0.1}})


def test_terms_set_in_with_their_stages(feature_weights):
    losses = {
        "perceptual": {"weight": 0.1, "from_stage": 2},
        "adversarial": {"weight": 0.01, "from_stage": 3, "discriminator_width": 8},
    }
    player, discriminator = players_of(built(), losses, feature_weights)
    published = ("mse_weight", "perceptual_weight", "adversarial_weight", "use_gan")
    assert (player.last_onset, discriminator.from_stage) == (3, 3)
    stages = {
        1: ({"mse"}, (1.0, 0.0, 0.0, False)),
        2: ({"mse", "perceptual"}, (1.0, 0.1, 0.0, False)),
        3: ({"mse", "perceptual", "adversarial"}, (1.0, 0.1, 0.01, True)),
    }
    for player.stage, (terms, state) in stages.items():
        assert player(batch()).keys() == terms
        assert player.loss_state() == dict(zip(published, state, strict=True))


def test_weights_scale_their_terms(feature_weights):
    def terms(mse: float, seen: float, game: float) -> dict[str, Tensor]:
        losses = {"mse": mse, "perceptual": {"weight": seen}, "adversarial": {**BOTH["adversarial"], "weight": game}}
        return players_of(built(), losses, feature_weights)[0](batch())

    one, two = terms(1, 0.1, 0.01), terms(2, 0.3, 0.04)
    for name, factor in (("mse", 2), ("perceptual", 3), ("adversarial", 4)):
        assert two[name].item() == pytest.approx(factor * one[name].item(), rel=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("criterion", ["bce", "least-squares"])
def test_the_model_and_the_discriminator_are_moved_each_by_its_own_loss(name, criterion, feature_weights):
    model = built(name)
    losses = {
        "mse": 0,
        "perceptual": {"weight": 0.1},
        "adversarial": {"weight": 1, "criterion": criterion, "discriminator_width": 8},
    }
    player, discriminator = players_of(model, losses, feature_weights)
    assert not {id(p) for p in player.parameters()} & {id(p) for p in discriminator.parameters()}
    adversarial = player(batch())["adversarial"]
    adversarial.backward()
    assert max(gradient.abs().max() for gradient in gradients(model)) > 0
    assert not gradients(discriminator)
    assert all(parameter.requires_grad for parameter in discriminator.parameters())
    before = [gradient.clone() for gradient in gradients(model)]
    discriminator(batch())["discriminator"].backward()
    assert len(gradients(discriminator)) == len(list(discriminator.parameters()))
    assert all(gradient.abs().max() > 0 for gradient in gradients(discriminator))
    assert all(torch.equal(a, b) for a, b in zip(before, gradients(model), strict=True))


def test_judges_are_in_no_state_but_the_discriminators_own(feature_weights):
    model = built()
    player, discriminator = players_of(model, BOTH, feature_weights)
    assert player.state_dict().keys() == {f"model.{key}" for key in model.state_dict()}
    assert discriminator.state_dict().keys() == {f"judge.{key}" for key in discriminator.judge.state_dict()}
    assert copy.deepcopy(model).state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize(
    ("name", "space", "target"),
    [*(("unetddpm", "rgb", target) for target in TARGETS), *(("splitdpm", space, "v") for space in SPACES)],
)
def test_the_losses_against_slow_ones(name, space, target, feature_weights):
    """One picture and one level at a time, with the weight of equation alpha^2 / (alpha^2 + sigma^2) written out."""
    model = built(name, space=space, target=target, levels_per_picture=2)
    losses = {**BOTH, "weighting": "min-snr", "snr_gamma": 3}
    player, discriminator = players_of(model, losses, feature_weights)
    network = features.load("vgg16", feature_weights / FEATURES["vgg16"].published.file).network
    seen, fooled, told, squares = [], [], [], []
    with torch.no_grad():
        got = player(batch()) | discriminator(batch())
        for index in range(COUNT):
            one = batch(1, index)
            gray = luma(one.rgb).float()
            x_0 = F.avg_pool2d(model.space.encode(one.rgb.float()), model.network.reduction)
            truth = model.space.picture(x_0, gray) / 127.5 - 1
            places = [(k + u) / 2 for k, u in enumerate(torch.rand(2, generator=one.generators[0]).tolist())]
            for place, eps in zip(places, torch.randn(2, *x_0.shape[1:], generator=one.generators[0]), strict=True):
                level = model.schedule.level(int(place * 1000))
                x_t = level.alpha * x_0 + level.sigma * eps
                prediction = model.network(x_t, level.batched(x_t), model.network.encode(gray / 127.5 - 1))
                wanted = {"eps": eps[None], "x0": x_0, "v": level.alpha * eps - level.sigma * x_0}[target]
                snr = level.alpha**2 / level.sigma**2
                estimate = {
                    "eps": (x_t - level.sigma * prediction) / level.alpha,
                    "x0": prediction,
                    "v": level.alpha * x_t - level.sigma * prediction,
                }[target].clamp(-model.space.limit, model.space.limit)
                result = model.space.picture(estimate, gray) / 127.5 - 1
                trust = level.alpha**2 / (level.alpha**2 + level.sigma**2)
                scores = [discriminator.judge(gray / 127.5 - 1, picture) for picture in (truth, result)]
                true, false = F.softplus(-scores[0]).mean(), F.softplus(scores[1]).mean()
                seen.append(0.1 * trust * perceptual(result, truth, network)[0])
                fooled.append(0.01 * trust * F.softplus(-scores[1]).mean())
                told.append(trust * (true + false) / 2)
                weight = min(snr, 3) / {"eps": snr, "x0": 1, "v": snr + 1}[target]
                squares.append(weight * (prediction - wanted).square().mean())
    for term, values in (("perceptual", seen), ("adversarial", fooled), ("discriminator", told), ("mse", squares)):
        assert got[term].item() == pytest.approx(torch.stack(values).mean().item(), rel=2e-3), term


@pytest.mark.parametrize("space", ["ycbcr", "lab"])
def test_judges_see_the_photographs_own_luma(space):
    player, _ = players_of(built("splitdpm", space=space), {"adversarial": {"weight": 0.01, "discriminator_width": 8}})
    pictures = batch()
    player(replace(pictures, seen=255 - luma(pictures.rgb)))  # whatever the model is shown
    (shown,) = player._judges.adversary.shown
    assert_close(shown.gray, luma(pictures.rgb) / 127.5 - 1)
    of_rgb = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    for seen in (shown.truths, shown.results):
        gray = luma(pictures.rgb).float().repeat_interleave(len(seen) // COUNT, dim=0)
        assert_close((of_rgb * (seen + 1) * 127.5).sum(dim=1, keepdim=True), gray, rtol=0, atol=0.01)
        assert seen.abs().max() <= 1 + 1e-5
    assert (shown.truths - (pictures.rgb / 127.5 - 1)).abs().mean() < 0.05  # chroma of half the size


def test_what_is_shown_holds_no_graph_and_validation_shows_nothing(feature_weights):
    player, discriminator = players_of(built(), BOTH, feature_weights)
    training = player(batch())
    (shown,) = player._judges.adversary.shown
    assert not any(part.requires_grad for part in vars(shown).values())
    discriminator(batch())
    assert not player._judges.adversary.shown
    with torch.no_grad():
        validation = player.eval()(batch())
    assert validation.keys() == training.keys() == {"mse", "perceptual", "adversarial"}
    assert not player._judges.adversary.shown


def test_several_batches_may_be_shown_before_the_discriminator_learns():
    """As it is where gradients of several batches make one step: it learns from each, in the order they were shown."""

    def learned(order: str) -> list[Tensor]:
        player, discriminator = players_of(built(), {"adversarial": {"weight": 1, "discriminator_width": 8}})
        losses = []
        for first in (0, COUNT):
            player(batch(first=first))
            losses += [discriminator(batch(first=first))] if order == "each" else []
        losses += [discriminator(batch(first=first)) for first in (0, COUNT)] if order == "after" else []
        return [loss["discriminator"] for loss in losses]

    assert learned("each") == learned("after")
    assert learned("each")[0] != learned("each")[1]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_is_the_mean_of_its_halves(name, feature_weights):
    """So that processes that share a batch average to the same gradients."""

    def losses(count: int, first: int) -> tuple[dict[str, float], list[Tensor]]:
        model = built(name)
        players = players_of(model, {**BOTH, "weighting": "min-snr"}, feature_weights)
        model.eval()
        terms = {}
        for player in players:
            values = player(batch(count, first))
            total(values).backward()
            terms |= {key: value.item() for key, value in values.items()}
        return terms, [gradient for player in players for gradient in gradients(player)]

    whole, halves = losses(COUNT, 0), [losses(COUNT // 2, first) for first in (0, COUNT // 2)]
    for key, value in whole[0].items():
        assert value == pytest.approx(sum(half[0][key] for half in halves) / 2, rel=1e-4)
    for one, *others in zip(whole[1], *(half[1] for half in halves), strict=True):
        assert_close(one, torch.stack(others).mean(dim=0), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_perceptual_loss_falls_as_the_model_learns(name, feature_weights):
    model, side = built(name, size=32), 32
    losses = {**BOTH, "perceptual": {"weight": 0.1, "network": "squeezenet"}}
    player, discriminator = players_of(model, losses, feature_weights)
    players, optimizers = (
        (player, discriminator),
        [torch.optim.Adam(p.parameters(), 3e-3) for p in (player, discriminator)],
    )

    def measured() -> dict[str, float]:
        player.eval()
        with torch.no_grad():
            values = {key: value.item() for key, value in player(batch(side=side)).items()}
        player.train()
        return values

    before, weights = measured(), [copy.deepcopy(p.state_dict()) for p in players]
    for _ in range(30):
        for one, optimizer in zip(players, optimizers, strict=True):
            optimizer.zero_grad()
            total(one(batch(side=side))).backward()
            optimizer.step()
    after = measured()
    assert after["perceptual"] < 0.8 * before["perceptual"]
    for one, old in zip(players, weights, strict=True):
        assert all((one.state_dict()[key] != old[key]).any() for key in old)
