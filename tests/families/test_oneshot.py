"""Families of one pass: what they minimize, who moves whom, what the latent vector is for, and how they are used."""

import copy

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from conftest import make_pictures
from tinct.color import SPACES, luma
from tinct.config import from_dict
from tinct.errors import ConfigError, UnknownName
from tinct.families import FAMILIES, Batch, Colorizer, Objective, generators_for
from tinct.families.base import unit_gray
from tinct.nets import PAINTERS
from tinct.photo import PhotoOptions, colour, coloured_image

COUNT, SIDE = 4, 16
NAMES = ("resnet", "unet", "gan", "unetgan", "basicvae", "unetvae")
GAMES, VARIATIONAL = ("gan", "unetgan"), ("basicvae", "unetvae")
LOSSES = {name: {"adversarial": {"discriminator_width": 8}} for name in GAMES} | {
    name: {"encoder_width": 8} for name in VARIATIONAL
}


def built(name: str, **changes) -> Colorizer:
    torch.manual_seed(0)
    family = FAMILIES[name]
    small = {"latent": 8} if name in VARIATIONAL else {}
    values = {"size": SIDE, "network": {"features": [8, 16], "dropout": 0.0}, **small, **changes}
    model = family.build(from_dict(family.Options, values))
    with torch.no_grad():  # fresh networks begin as the identity, and would hide what they read
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape))
    return model


def players_of(name: str, model: Colorizer, losses: dict | None = None, features=None) -> list[Objective]:
    torch.manual_seed(1)
    values = {**LOSSES.get(name, {}), **(losses or {})}
    return FAMILIES[name].objectives(model, from_dict(FAMILIES[name].Losses, values), 4, features)


def batch(count: int = COUNT, first: int = 0, step: int = 0) -> Batch:
    chosen = slice(first, first + count)
    rgb, labels = (torch.tensor(part[chosen]) for part in make_pictures(2 * COUNT, SIDE))
    return Batch(rgb.permute(0, 3, 1, 2), labels, generators_for(range(100 * step, 100 * step + 2 * COUNT)[chosen]))


def total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def sampled(model: Colorizer, gray: Tensor, seeds, **options) -> Tensor:
    """Chroma in levels."""
    with torch.no_grad():
        *_, last = model.sample(gray, generators=generators_for(list(seeds)), **options)
        return model.cbcr(last.x_0, gray.repeat_interleave(len(list(seeds)) // len(gray), dim=0))


@pytest.mark.parametrize("name", NAMES)
def test_the_six_are_rows_of_method_and_backbone(name):
    backbones = {"resnet": "resnet", "gan": "autoencoder", "basicvae": "autoencoder"}
    options = from_dict(FAMILIES[name].Options, {})
    assert options.backbone == backbones.get(name, "unet")
    assert options.space == "ycbcr"
    assert getattr(options, "latent", None) == (256 if name in VARIATIONAL else None)


@pytest.mark.parametrize("name", ["unet", "unetgan", "unetvae"])
@pytest.mark.parametrize("backbone", PAINTERS)
def test_every_method_takes_every_backbone(name, backbone):
    model = built(name, backbone=backbone)
    for player in players_of(name, model):
        total(player(batch())).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("space", SPACES)
def test_no_weights_lead_out_of_the_colour_space(name, space):
    model = built(name, space=space)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5)
        *_, last = model.sample(luma(batch().rgb).float(), generators=generators_for(range(COUNT)))
    assert last.x_0.isfinite().all()
    assert model.space.limit * 0.9 < last.x_0.abs().max() <= model.space.limit


@pytest.mark.parametrize("space", SPACES)
def test_the_errors_are_means_over_elements_of_what_is_sampled(space):
    model = built("unet", space=space)
    (player,) = players_of("unet", model, {"mse": 2.0, "l1": 3.0})
    losses, pictures = player(batch()), batch().rgb
    *_, last = model.sample(luma(pictures).float(), generators=generators_for(range(COUNT)))
    off = last.x_0 - model.space.encode(pictures.float())
    assert_close(losses["mse"], 2 * off.square().mean())
    assert_close(losses["l1"], 3 * off.abs().mean())
    state = {"mse_weight": 2.0, "l1_weight": 3.0, "perceptual_weight": 0.0, "adversarial_weight": 0.0}
    assert player.loss_state() == {**state, "use_gan": False}


def test_judges_sit_beside_the_error(feature_weights):
    """The perceptual loss and the game, on a regression family; the game sets in with the second stage."""
    losses = {
        "perceptual": {"weight": 0.1},
        "adversarial": {"weight": 0.01, "from_stage": 2, "discriminator_width": 8},
    }
    player, discriminator = players_of("unet", built("unet"), losses, feature_weights)
    assert (player.last_onset, discriminator.from_stage) == (2, 2)
    assert player(batch()).keys() == {"mse", "perceptual"}
    player.stage = 2
    assert player(batch()).keys() == {"mse", "perceptual", "adversarial"}
    assert player.loss_state()["use_gan"]


@pytest.mark.parametrize("space", SPACES)
def test_the_game_against_a_slow_one(space):
    """Picture by picture: the discriminator is shown the gray, and the colours on the photograph's own luma."""
    model = built("unetgan", space=space)
    player, discriminator = players_of("unetgan", model)
    with torch.no_grad():
        got = player(batch()) | discriminator(batch())
        fooled, told, errors = [], [], []
        for index in range(COUNT):
            rgb = batch(1, index).rgb
            gray, x_0 = luma(rgb).float(), model.space.encode(rgb.float())
            painted = model.paint(gray)
            result, truth = (model.space.picture(x, gray) / 127.5 - 1 for x in (painted, x_0))
            true, false = (discriminator.judge(gray / 127.5 - 1, picture) for picture in (truth, result))
            fooled.append(F.softplus(-false).mean())
            told.append((F.softplus(-true).mean() + F.softplus(false).mean()) / 2)
            errors.append(10 * (painted - x_0).abs().mean())
    for term, values in (("adversarial", fooled), ("discriminator", told), ("l1", errors)):
        assert got[term].item() == pytest.approx(torch.stack(values).mean().item(), rel=1e-4), term
    assert got.keys() == {"adversarial", "discriminator", "l1"}


@pytest.mark.parametrize("name", GAMES)
def test_both_players_learn(name):
    """Each alone gets the better of the other as it stands; neither moves the other's weights."""
    model = built(name)
    player, discriminator = players_of(name, model, {"l1": 0.0})

    def played(mover: Objective, steps: int = 30) -> None:
        optimizer = torch.optim.Adam(mover.parameters(), 2e-3)
        for _ in range(steps):
            for one in (player, discriminator):
                one.zero_grad()
                total(one(batch())).backward()
            optimizer.step()

    def losses() -> tuple[float, float]:
        with torch.no_grad():
            return player(batch())["adversarial"].item(), discriminator(batch())["discriminator"].item()

    fooled, told = losses()
    before = copy.deepcopy(model.state_dict())
    played(discriminator)
    assert losses()[1] < 0.7 * told
    assert_close(dict(model.state_dict()), dict(before), rtol=0, atol=0)
    fooled, before = losses()[0], copy.deepcopy(discriminator.state_dict())
    played(player)
    assert losses()[0] < 0.7 * fooled
    assert_close(dict(discriminator.state_dict()), dict(before), rtol=0, atol=0)


@pytest.mark.parametrize("l1", [10.0, 0.0])
def test_a_game_is_validated_by_its_absolute_error(l1):
    """Also where that is no loss: what the discriminator says rises and falls with its own learning."""
    model = built("unetgan")
    player, discriminator = players_of("unetgan", model, {"l1": l1})
    assert player(batch()).keys() == ({"adversarial", "l1"} if l1 else {"adversarial"})
    discriminator(batch())
    with torch.no_grad():
        terms = player.eval()(batch())
        error = (model.paint(luma(batch().rgb).float()) - model.space.encode(batch().rgb.float())).abs().mean()
    assert terms.keys() - {"adversarial"} == {"l1"}
    assert terms["l1"].item() == pytest.approx((l1 or 1) * error.item(), rel=1e-5)
    assert not player._judges.adversary.shown


def test_a_game_without_its_players_is_refused():
    with pytest.raises(ConfigError, match=r"nothing is minimized in stage 1\. Set loss\.mse=1 or loss\.l1=1"):
        players_of("gan", built("gan"), {"l1": 0.0, "adversarial": {"weight": 0.0}})
    (alone,) = players_of("gan", built("gan"), {"adversarial": {"weight": 0.0}})
    assert alone(batch()).keys() == {"l1"}


@pytest.mark.parametrize("name", VARIATIONAL)
def test_the_bound_against_a_slow_one(name):
    """Picture by picture: sums over elements and over the latent vector, means over the batch."""
    model = built(name)
    (player,) = players_of(name, model, {"kl": 0.3})
    with torch.no_grad():
        got = player(batch())
        errors, nats = [], []
        for index in range(COUNT):
            one = batch(1, index)
            gray, x_0 = luma(one.rgb).float(), model.space.encode(one.rgb.float())
            mean, log_variance = player.posterior(gray / 127.5 - 1, x_0)
            q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
            z = mean + q.scale * torch.randn(8, generator=one.generators[0])
            errors.append((model.paint(gray, z) - x_0).square().sum())
            nats.append(torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum())
    assert got["reconstruction"].item() == pytest.approx(torch.stack(errors).mean().item(), rel=1e-4)
    assert got["kl"].item() == pytest.approx(0.3 * torch.stack(nats).mean().item(), rel=1e-4)
    assert player.loss_state() == {**Objective().loss_state(), "kl_weight": 0.3}


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_the_mean_of_its_halves(name):
    """So that processes that share a batch average to the same gradients."""

    def gradients(count: int, first: int) -> list[Tensor]:
        model = built(name)
        players = players_of(name, model)
        for player in players:
            total(player(batch(count, first))).backward()
        return [p.grad for player in players for p in player.parameters()]

    whole, *halves = gradients(COUNT, 0), gradients(COUNT // 2, 0), gradients(COUNT // 2, COUNT // 2)
    for one, *others in zip(whole, *halves, strict=True):
        assert_close(one, torch.stack(others).mean(dim=0), rtol=1e-3, atol=1e-5 * max(1, whole[0].abs().max().item()))


@pytest.mark.parametrize("name", NAMES)
def test_the_model_holds_nothing_that_only_training_needs(name):
    model = built(name)
    keys = set(model.state_dict())
    player, *others = players_of(name, model)
    assert {key.partition(".")[0] for key in keys} == {"network"}
    assert set(model.state_dict()) == keys
    extra = set(player.state_dict()) - {f"model.{key}" for key in keys}
    assert {key.partition(".")[0] for key in extra} == ({"posterior"} if name in VARIATIONAL else set())
    assert [one.name for one in others] == (["discriminator"] if name in GAMES else [])


@pytest.fixture(scope="module")
def ambiguous() -> Batch:
    """One gray with two colourings of the same luma, four pictures of each: what the gray says does not tell which."""
    gray = luma(batch(1).rgb)
    pictures = [SPACES["ycbcr"].picture(torch.full((1, 2, SIDE, SIDE), tone), gray.float()) for tone in (-0.8, 1.2)]
    rgb = torch.cat(pictures).round().to(torch.uint8).repeat_interleave(4, dim=0)
    return Batch(rgb, torch.zeros(8, dtype=torch.int64), generators_for(range(8)))


def taught(name: str, ambiguous: Batch, losses: dict | None = None, steps: int = 120) -> Objective:
    player = players_of(name, built(name), losses)[0]
    optimizer = torch.optim.Adam(player.parameters(), 3e-3)
    for step in range(steps):
        optimizer.zero_grad()
        total(player(Batch(ambiguous.rgb, ambiguous.labels, generators_for(range(8 * step, 8 * step + 8))))).backward()
        optimizer.step()
    return player.eval()


def two_tones(ambiguous: Batch) -> tuple[float, float]:
    """Of the two colourings, in network units."""
    tones = SPACES["ycbcr"].encode(ambiguous.rgb.float()).mean(dim=(1, 2, 3))
    return tones.min().item(), tones.max().item()


@pytest.mark.parametrize("name", VARIATIONAL)
def test_the_latent_vector_says_what_the_gray_leaves_open(name, ambiguous):
    """That of a picture gives back its own colouring; drawn from the prior it gives several, and none far from the two."""
    gray, (low, high) = luma(ambiguous.rgb).float(), two_tones(ambiguous)
    player = taught(name, ambiguous, {"kl": 0.1})
    with torch.no_grad():
        mean, _ = player.posterior(unit_gray(gray), player.model.space.encode(ambiguous.rgb.float()))
        own = player.model.paint(gray, mean).mean(dim=(1, 2, 3))
        *_, last = player.model.sample(gray[:1], generators=generators_for(range(60)))
    drawn = last.x_0.mean(dim=(1, 2, 3))
    assert_close(own, torch.tensor([low] * 4 + [high] * 4), rtol=0, atol=0.25 * (high - low))
    assert drawn.std() > 0.01 * (high - low)
    assert low - 0.5 < drawn.min() < drawn.max() < high + 0.5


def test_regression_gives_the_middle_of_what_the_gray_leaves_open(ambiguous):
    gray, (low, high) = luma(ambiguous.rgb[:1]).float(), two_tones(ambiguous)
    *_, last = taught("unet", ambiguous, steps=60).model.sample(gray, generators=generators_for([0]))
    assert last.x_0.mean().item() == pytest.approx((low + high) / 2, abs=0.15)


@pytest.mark.parametrize("name", VARIATIONAL)
def test_temperature_scales_the_latent_vector(name):
    model, gray = built(name), luma(batch(1).rgb).float()
    assert torch.equal(*(sampled(model, gray, [seed], temperature=0.0) for seed in (0, 1)))
    narrow, wide = (sampled(model, gray, range(8), temperature=t).std(dim=0).mean() for t in (0.2, 1.0))
    assert 0 < narrow < 0.5 * wide


@pytest.mark.parametrize("name", NAMES)
def test_a_photograph_of_any_shape_keeps_its_light(name):
    gray = luma(torch.tensor(make_pictures(1, 60)[0]).permute(0, 3, 1, 2))[0, 0].numpy()[:, :37]
    model = built(name).eval()
    result = colour(model, gray)
    assert (luma(torch.tensor(result).permute(2, 0, 1))[0].numpy() == gray).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("option", [{"steps": 4}, {"sampler": "ddim"}, {"spacing": "karras"}, {"eta": 0.5}])
def test_options_of_walks_are_refused(name, option):
    gray = luma(batch(1).rgb)[0, 0].numpy()
    with pytest.raises(UnknownName, match=f"unknown option of model unnamed '{next(iter(option))}'"):
        colour(built(name), gray, options=PhotoOptions(**option))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in VARIATIONAL])
@pytest.mark.parametrize("option", [{"draws": 3}, {"seed": 2}, {"temperature": 0.5}])
def test_nothing_that_asks_for_variety_is_ignored_by_a_model_without(name, option, tmp_path):
    Image.fromarray(luma(batch(1).rgb)[0, 0].numpy()).save(tmp_path / "old.png")
    with pytest.raises(ConfigError, match=next(iter(option))):
        coloured_image(built(name), tmp_path / "old.png", **option)
    coloured_image(built(name), tmp_path / "old.png", draws=1, seed=0)
