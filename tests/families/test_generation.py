"""Pictures from noise: they follow from their seed and class alone, and guidance goes as far as it says."""

import pytest
import torch
from torch.testing import assert_close

from conftest import make_pictures
from tinct import recipes, weights, zoo
from tinct.color import luma
from tinct.config import from_dict, to_dict
from tinct.diffusion import SAMPLERS, SPACINGS
from tinct.errors import ConfigError, UnknownName
from tinct.families import FAMILIES, Batch, PictureGenerator, generators_for
from tinct.nets.blocks import Attention, ResBlock

SIDE = 16


def built(**changes) -> PictureGenerator:
    """With no weight at zero: a fresh network would hide what it reads."""
    torch.manual_seed(0)
    family = FAMILIES["generation"]
    network = {"features": [8, 16], "time_embedding": 16}
    model = family.build(from_dict(family.Options, {"size": SIDE, "network": network, "steps": 4, **changes})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape))
    return model


def sampled(model: PictureGenerator, seeds, labels=None, **options) -> torch.Tensor:
    labels = None if labels is None else torch.tensor(labels)
    with torch.no_grad():
        *_, last = model.sample(generators=generators_for(list(seeds)), labels=labels, **options)
    return last.x_0


def player_of(model: PictureGenerator, losses: dict | None = None):
    family = FAMILIES["generation"]
    (player,) = family.objectives(model, from_dict(family.Losses, losses or {}), 4)
    return player


def batch(count: int = 8, step: int = 0) -> Batch:
    rgb, labels = (torch.tensor(part) for part in make_pictures(count, SIDE))
    return Batch(rgb.permute(0, 3, 1, 2), labels, generators_for(range(count * step, count * (step + 1))))


@pytest.mark.parametrize(("space", "channels"), [("gray", 1), ("rgb", 3)])
def test_pictures_are_rgb_of_the_models_size(space, channels):
    model = built(space=space)
    x_0 = sampled(model, range(3))
    assert x_0.shape == (3, channels, SIDE, SIDE)
    pictures = model.pictures(x_0)
    assert pictures.dtype == torch.uint8
    assert pictures.shape == (3, 3, SIDE, SIDE)
    assert torch.equal(luma(pictures), pictures[:, :1]) == (space == "gray")


def test_the_recipe_of_digits_attends_at_7_by_7_and_knows_the_time_in_every_block():
    family, values = FAMILIES["generation"], recipes.load("mnist")
    model = family.build(from_dict(family.Options, values["model"])).eval()
    blocks = [module for module in model.network.modules() if isinstance(module, ResBlock)]
    assert blocks
    assert all(block.film is not None for block in blocks)
    seen, attentions = [], [module for module in model.network.modules() if isinstance(module, Attention)]
    for attention in attentions:
        attention.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[2:]))
    assert sampled(model, [0], steps=1).shape == (1, 1, 28, 28)
    assert seen == [(7, 7)] * len(attentions) != []


@pytest.mark.parametrize("space", ["gray", "rgb"])
def test_network_units_and_pictures_are_each_others_inverse(space):
    model, rgb = built(space=space), batch().rgb
    truth = luma(rgb).expand(-1, 3, -1, -1) if space == "gray" else rgb
    assert torch.equal(model.pictures(model.encode(rgb)), truth)


def test_a_black_point_takes_the_darkest_levels_to_black_and_leaves_white():
    levels = torch.tensor([0.0, 3.0, 4.0, 5.0, 129.5, 255.0]).view(1, 1, 1, 6)
    shown = built(space="gray", black_point=4).pictures(levels / 127.5 - 1)[0, 0, 0].tolist()
    assert shown == [0, 0, 0, 1, 128, 255]  # 125.5 * 255 / 251 = 127.5


def test_a_temperature_of_its_own_holds_unless_another_is_said():
    cool, plain = built(temperature=0.5), built()
    assert torch.equal(sampled(cool, range(2)), sampled(plain, range(2), temperature=0.5))
    assert torch.equal(sampled(cool, range(2), temperature=1.0), sampled(plain, range(2)))
    assert not torch.equal(sampled(cool, range(2)), sampled(plain, range(2)))


def test_a_picture_follows_from_its_seed_whatever_its_batch():
    model = built()
    together = model.pictures(sampled(model, range(5))).int()
    alone = torch.cat([model.pictures(sampled(model, [seed])) for seed in range(5)]).int()
    assert (together - alone).abs().max() <= 1
    assert (together[0] - together[1]).abs().max() > 5


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_keeps_to_the_range(sampler, spacing):
    x_0 = sampled(built(), range(2), sampler=sampler, spacing=spacing, steps=3)
    assert x_0.isfinite().all()
    assert x_0.abs().max() <= 1 + 1e-5


def test_a_class_makes_other_pictures_and_minus_one_is_any():
    model = built(classes=4)
    one, other = (sampled(model, [0], [label]) for label in (0, 3))
    assert not torch.equal(one, other)
    assert torch.equal(sampled(model, [0]), sampled(model, [0], [-1]))


@pytest.mark.parametrize("target", ["eps", "x0", "v"])
def test_guidance_goes_so_far_from_without_the_class_to_with_it(target):
    """In one step from the same noise x_0 is affine in the prediction, as long as nothing is cut off."""
    model = built(classes=4, target=target, schedule="linear", timesteps=20)
    with torch.no_grad():
        model.network.out.weight.mul_(0.05)
    model.limit = 1e6
    without, along, twice, none = (
        sampled(model, [0], labels, steps=1, guidance=guidance)
        for labels, guidance in ((None, 1.0), ([2], 1.0), ([2], 2.0), ([2], 0.0))
    )
    assert_close(none, without, rtol=1e-4, atol=1e-4)
    assert_close(twice, without + 2 * (along - without), rtol=1e-4, atol=1e-4 * twice.abs().max().item())
    assert not torch.allclose(along, without, rtol=1e-3)


@pytest.mark.parametrize(
    ("classes", "labels", "options", "error", "message"),
    [
        (0, [1], {}, ConfigError, "class: the model 'unnamed' knows no classes"),
        (4, [4], {}, ConfigError, "class = 4: the model 'unnamed' knows the classes 0 to 3"),
        (4, [-2], {}, ConfigError, "class = -2: the model 'unnamed' knows the classes 0 to 3"),
        (4, None, {"guidance": 2.0}, ConfigError, "guidance = 2: it guides towards a class; say which"),
        (0, None, {"steps": 0}, ConfigError, "steps = 0: must be from 1 to the model's 1000 levels"),
        (0, None, {"steps": 1001}, ConfigError, "steps = 1001: must be from 1"),
        (0, None, {"sampler": "dimm"}, UnknownName, "Did you mean 'ddim'"),
        (0, None, {"eta": 0.5}, UnknownName, "option of sampler"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_sampled(classes, labels, options, error, message):
    with pytest.raises(error, match=message):
        sampled(built(classes=classes), [0], labels, **options)


def test_a_network_that_needs_a_photograph_is_refused():
    with pytest.raises(ConfigError, match="backbone = split: it sees a photograph"):
        FAMILIES["generation"].build(from_dict(FAMILIES["generation"].Options, {"backbone": "split"}))


@pytest.mark.parametrize("space", ["gray", "rgb"])
def test_the_loss_against_a_slow_one(space):
    """One picture at a time; the random numbers come in the order level, noise, hiding of the class."""
    model = built(space=space, classes=4)
    seen = []
    hook = model.network.labels.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.no_grad():
        got = player_of(model)(batch())["mse"].item()
    hook.remove()
    squares, one = [], batch()
    for index in range(8):
        (generator,) = generators_for([index])
        x_0 = model.encode(one.rgb[index : index + 1])
        level = model.schedule.level(int(torch.rand(1, generator=generator).item() * 1000))
        eps = torch.randn(1, *x_0.shape[1:], generator=generator)
        hidden = torch.rand(1, generator=generator).item() < 0.1
        label = torch.tensor([-1 if hidden else int(one.labels[index])])
        x_t = level.alpha * x_0 + level.sigma * eps
        with torch.no_grad():
            squares.append((model.network(x_t, level.batched(x_t), (), label) - eps).square().mean().item())
    assert got == pytest.approx(sum(squares) / 8, rel=1e-4)
    assert len(seen[0]) == 8


def test_a_set_of_more_categories_than_classes_is_refused():
    with pytest.raises(ConfigError, match="classes = 3: the set has 4 categories"):
        player_of(built(classes=3))


def test_min_snr_weighs_noise_levels():
    assert player_of(built())(batch())["mse"] > player_of(built(), {"weighting": "min-snr"})(batch())["mse"] > 0


def test_what_it_shows_of_itself():
    rgb = batch(3).rgb
    assert {title: part.shape for title, part in built(classes=4).examples(rgb).items()} == {
        str(label): (8, 3, SIDE, SIDE) for label in range(4)
    }
    assert list(built().examples(rgb)) == ["0", "1", "2"]


def test_survives_save_and_load(tmp_path):
    model = built(classes=4)
    path = tmp_path / "saved.safetensors"
    weights.save(path, model.state_dict(), {"family": "generation", "model": to_dict(model.options), "name": "saved"})
    loaded = zoo.generator(zoo.load(str(path)))
    model.load_state_dict({key: value.half().float() for key, value in model.state_dict().items()})
    model.to(memory_format=torch.channels_last)  # as a model is loaded: sums are rounded otherwise
    assert torch.equal(*(sampled(one, range(2), [1, 2]) for one in (loaded, model)))
    with pytest.raises(ConfigError, match="the model 'saved' does not colour"):
        zoo.colorizer(loaded)


def test_it_learns_what_its_pictures_look_like():
    """Flat pictures, black for one class and white for the other: the classes come out, and guidance sharpens them."""
    tones = torch.tensor([10, 245]).repeat(4)
    rgb = tones.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, SIDE, SIDE).contiguous()
    model = built(classes=4, schedule="cosine", target="v").train()
    player = player_of(model)
    optimizer = torch.optim.Adam(player.parameters(), 3e-3)
    for step in range(150):
        optimizer.zero_grad()
        player(Batch(rgb, torch.arange(8) % 2, generators_for(range(8 * step, 8 * step + 8))))["mse"].backward()
        optimizer.step()
    model.eval()
    black, white = (sampled(model, range(8), [label] * 8, steps=10).mean() for label in (0, 1))
    assert black < -0.5
    assert white > 0.5
