"""The contract of families, over the registry: they learn, repeat by seed, survive saving, and don't see the batch."""

import dataclasses
import inspect

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from tinct import weights, zoo
from tinct.color import SPACES, compose, luma
from tinct.config import from_dict, to_dict
from tinct.diffusion import SAMPLERS, SPACINGS
from tinct.errors import ConfigError, UnknownName
from tinct.families import FAMILIES, Batch, Colorizer, Diffusing, Objective, generators_for

NETWORKS = {
    "unet": {"features": [8, 16]},
    "split": {"encoder": [8, 8, 16], "denoiser": [8, 16], "deep_blocks": 2},
    "resnet": {"features": [8, 16], "blocks": 1},
    "autoencoder": {"features": [8, 16]},
    "convolutional": {"features": [8, 16], "width": 16},
}
SMALL = {"time_embedding": 16, "latent": 16}  # where there is such an option
GAME = {"adversarial", "discriminator"}  # losses of two players against each other: neither need fall
COUNT, SIDE = 8, 16


def options_of(name: str, **changes):
    """The family's options with a network so small that it learns in seconds."""
    defaults = from_dict(FAMILIES[name].Options, {key: changes[key] for key in changes if key == "backbone"})
    network = NETWORKS[defaults.backbone] | small(defaults.network)
    return from_dict(FAMILIES[name].Options, {"size": SIDE, "network": network, **small(defaults), **changes})


def small(options) -> dict[str, int]:
    return {key: value for key, value in SMALL.items() if hasattr(options, key)}


def few_steps(model: Colorizer, steps: int = 4) -> dict[str, int]:
    """Options for a sampling of few steps; none where all is done in one."""
    return {"steps": steps} if "steps" in inspect.signature(model.sample).parameters else {}


def built(name: str, **changes) -> Colorizer:
    torch.manual_seed(0)
    return FAMILIES[name].build(options_of(name, **changes)).eval()


COLORIZERS = [name for name in FAMILIES if isinstance(built(name), Colorizer)]


def players_of(name: str, model: Colorizer) -> list[Objective]:
    """Those of four categories, with the family's own losses and a small discriminator, where there is one."""
    game = {"adversarial": {"discriminator_width": 8}} if hasattr(FAMILIES[name].Losses(), "adversarial") else {}
    return FAMILIES[name].objectives(model, from_dict(FAMILIES[name].Losses, game), 4)


def trembling(model: Colorizer) -> Colorizer:
    """The model with no weight at zero: fresh networks begin as the identity, and would hide what they read."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape))
    return model


@pytest.fixture(scope="module")
def rgb(trained_once) -> Tensor:
    """Eight pictures in four hues."""
    pictures = np.load(trained_once / "npzData" / "toy" / "train.rgb.npy")[:COUNT]
    return torch.tensor(pictures).permute(0, 3, 1, 2)


def batch_of(rgb: Tensor, seeds) -> Batch:
    return Batch(rgb, torch.arange(len(rgb)) % 4, generators_for(list(seeds)))


def coloured(model: Colorizer, rgb: Tensor, seeds, **options) -> Tensor:
    """uint8 pictures: the samples' chroma on the pictures' own luma."""
    gray = luma(rgb)
    with torch.no_grad():
        *_, last = model.sample(gray.float(), generators=generators_for(list(seeds)), **options)
    chroma = model.cbcr(last.x_0, gray.float())
    return compose(gray, torch.nn.functional.interpolate(chroma, gray.shape[-2:]))


@pytest.mark.parametrize("name", FAMILIES)
def test_overfits_eight_pictures(name, rgb):
    model = built(name).train()
    players = players_of(name, model)
    betas = (0.9 if len(players) == 1 else 0.5, 0.999)  # a game is steadier with a short memory (Isola et al. 2017)
    optimizers = [torch.optim.Adam(player.parameters(), 3e-3, betas) for player in players]

    def loss() -> float:
        model.eval()
        with torch.no_grad():
            values = [player(batch_of(rgb, range(900, 900 + COUNT))) for player in players]
        model.train()
        return sum(value.item() for terms in values for term, value in terms.items() if term not in GAME)

    before = loss()
    for step in range(100 * len(players)):  # a game takes longer
        for player, optimizer in zip(players, optimizers, strict=True):
            optimizer.zero_grad()
            sum(player(batch_of(rgb, range(COUNT * step, COUNT * (step + 1)))).values()).backward()
            optimizer.step()
    assert loss() < 0.6 * before


@pytest.mark.parametrize("name", COLORIZERS)
def test_what_a_model_is_shown_is_its_input_and_the_truth_stays(name, rgb):
    """Shown the luma, it has the losses of a plain batch; shown something else, it learns from that."""
    players = players_of(name, trembling(built(name)))
    gray = luma(rgb)

    def losses(seen: Tensor | None) -> dict[str, float]:
        batch = dataclasses.replace(batch_of(rgb, range(COUNT)), seen=seen)
        return {term: value.item() for player in players for term, value in player(batch).items()}

    assert losses(gray) == losses(None)
    assert losses(255 - gray) != losses(None)


@pytest.mark.parametrize("name", COLORIZERS)
def test_the_same_seed_gives_the_same_model_and_picture_bit_for_bit(name, rgb):
    one, other = built(name), built(name)
    assert_close(dict(one.state_dict()), dict(other.state_dict()), rtol=0, atol=0)
    trembling(one)
    other.load_state_dict(one.state_dict())
    torch.manual_seed(123)  # the global random state has no part in it
    first = coloured(one, rgb, range(COUNT), **few_steps(one))
    assert torch.equal(first, coloured(other, rgb, range(COUNT), **few_steps(one)))


@pytest.mark.parametrize("name", COLORIZERS)
def test_two_seeds_give_two_pictures_with_the_same_luma(name, rgb):
    """Or the same picture, where the model says that it does not vary."""
    model = trembling(built(name))
    free = {"anchor": 0.0} if model.anchor else {}
    one, other = (coloured(model, rgb, [seed] * COUNT, **few_steps(model), **free) for seed in (0, 1))
    if model.varies:
        assert ((one - other).abs().amax(dim=(1, 2, 3)) > 5).all()
    else:
        assert torch.equal(one, other)
    for picture in (one, other):
        assert torch.equal(luma(picture), luma(rgb).int())


@pytest.mark.parametrize("name", COLORIZERS)
def test_a_picture_does_not_depend_on_its_batch(name, rgb):
    model = trembling(built(name))
    together = coloured(model, rgb[:5], range(5), **few_steps(model))
    alone = torch.cat([coloured(model, rgb[i : i + 1], [i], **few_steps(model)) for i in range(5)])
    assert (together - alone).abs().max() <= 1


@pytest.mark.parametrize("name", COLORIZERS)
def test_several_samples_of_a_picture_are_those_of_their_seeds(name, rgb):
    """Two pictures, three generators each: the same as each picture three times."""
    model = trembling(built(name))
    gray = luma(rgb[:2]).float()
    with torch.no_grad():
        *_, many = model.sample(gray, generators=generators_for(range(6)), **few_steps(model))
        repeated = gray.repeat_interleave(3, dim=0)
        *_, single = model.sample(repeated, generators=generators_for(range(6)), **few_steps(model))
    assert_close(many.x_0, single.x_0, rtol=1e-4, atol=1e-4)
    for wrong in (0, 1, 3):
        with pytest.raises(AssertionError, match="as many generators for every picture"):
            model.sample(gray, generators=generators_for(range(wrong)))


@pytest.mark.parametrize("name", COLORIZERS)
def test_survives_save_and_load(name, rgb, tmp_path):
    """Weights are kept in float16: what comes back is the model rounded so, and nothing else."""
    model = trembling(built(name))
    header = {"family": name, "model": to_dict(model.options), "name": "saved"}
    weights.save(tmp_path / "saved.safetensors", model.state_dict(), header)
    loaded = zoo.load(str(tmp_path / "saved.safetensors"))
    assert loaded.name == "saved"
    assert loaded.options == model.options
    assert not loaded.training
    rounded = {key: value.half().float() for key, value in model.state_dict().items()}
    assert_close(dict(loaded.state_dict()), rounded, rtol=0, atol=0)
    model.load_state_dict(rounded)
    model.to(memory_format=torch.channels_last)  # as a model is loaded: sums are rounded otherwise
    pictures = [coloured(one, rgb, range(COUNT), **few_steps(model)) for one in (loaded, model)]
    assert torch.equal(*pictures)


@pytest.mark.parametrize("name", COLORIZERS)
def test_every_step_is_yielded_and_options_are_the_models_own_by_default(name, rgb):
    model = built(name, **few_steps(built(name), 5))
    gray, count = luma(rgb).float(), 5 if few_steps(model) else 1
    steps = list(model.sample(gray, generators=generators_for(range(COUNT))))
    assert [(step.done, step.total) for step in steps] == [(done, count) for done in range(1, count + 1)]
    chroma = model.cbcr(steps[-1].x_0, gray)
    assert chroma.shape[:2] == (COUNT, 2)
    assert SIDE % chroma.shape[2] == 0


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", COLORIZERS)
def test_every_family_in_every_space(name, space, rgb):
    """Its loss is a number with gradients; what it samples lies in the space's range and keeps the photograph's luma."""
    model = trembling(built(name, space=space))
    for player in players_of(name, model):
        torch.stack(list(player(batch_of(rgb, range(COUNT))).values())).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    with torch.no_grad():
        *_, last = model.sample(luma(rgb).float(), generators=generators_for(range(COUNT)), **few_steps(model))
    assert last.x_0.isfinite().all()
    assert last.x_0.abs().max() <= model.space.limit + 1e-5
    assert torch.equal(luma(coloured(model, rgb, range(COUNT), **few_steps(model))), luma(rgb).int())


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("space", SPACES)
def test_every_sampler_in_every_space(space, sampler, spacing, rgb):
    """What is sampled lies in the space's range, however bad the network."""
    for name in ("unetddpm", "splitdpm"):
        model = trembling(built(name, space=space))
        with torch.no_grad():
            generators = generators_for(range(2))
            *_, last = model.sample(
                luma(rgb[:2]).float(), generators=generators, sampler=sampler, spacing=spacing, steps=3
            )
        assert last.x_0.isfinite().all()
        assert last.x_0.abs().max() <= model.space.limit + 1e-5


def test_temperature_scales_the_noise(rgb):
    model = trembling(built("splitdpm", anchor=0.0))
    cold = [coloured(model, rgb[:1], [seed], temperature=0.0) for seed in (0, 1)]
    assert torch.equal(*cold)
    spread = [
        torch.stack([coloured(model, rgb[:1], [seed], temperature=t).float() for seed in range(6)]).std(dim=0).mean()
        for t in (0.3, 1.0)
    ]
    assert spread[0] < 0.7 * spread[1]


def test_the_walk_starts_at_the_mean_that_head_and_denoiser_agree_on(rgb):
    """Without noise, the first state is alpha times the mean: half of the head's, half of what the denoiser makes of that."""
    model = trembling(built("splitdpm", anchor=0.0))
    seen = []
    model.network.decoder.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    gray = luma(rgb).float()
    with torch.no_grad():
        list(model.sample(gray, generators=generators_for(range(COUNT)), steps=1, temperature=0.0))
        shown, start = seen
        features = model.network.encode(gray / 127.5 - 1)
        head, level = model.network.mean(features), model.schedule.at_ratio(40.0).batched(gray)
        v = model.network(level.alpha * head, level, features)
    assert_close(shown, (1 + 40.0**2) ** -0.5 * head, rtol=1e-3, atol=1e-6)
    denoised = level.alpha * (level.alpha * head) - level.sigma * v
    assert (denoised - head).abs().max() > 0.01
    assert_close(start, (1 + 80.0**2) ** -0.5 * (head + denoised) / 2, rtol=1e-3, atol=1e-6)


def test_an_anchor_holds_the_coarse_colours_and_lets_the_fine_ones_be_sampled(rgb):
    """At 8 x 8 cells, x_0 is the mean so many times as far from gray, of whatever seed; below, seeds differ as ever."""
    model, gray = trembling(built("splitdpm")), F.interpolate(luma(rgb[:1]).float(), (32, 32))

    def chroma(**options):
        with torch.no_grad():
            *_, last = model.sample(gray, generators=generators_for(range(6)), steps=3, **options)
            return model.cbcr(last.x_0, gray)  # (6, 2, 16, 16)

    held, free = chroma(anchor=1.5), chroma(anchor=0.0)
    assert torch.equal(chroma(), held), "the default of the family"
    coarse, coarse_free = F.avg_pool2d(held, 2), F.avg_pool2d(free, 2)
    assert coarse.std(dim=0).mean() < 0.2 * coarse_free.std(dim=0).mean()
    assert (held - free).abs().mean() > 1
    fine = held - F.interpolate(coarse, scale_factor=2)
    assert fine.std(dim=0).mean() > 0.5 * (free - F.interpolate(coarse_free, scale_factor=2)).std(dim=0).mean()
    with torch.no_grad():
        mean = model.cbcr(model.mean(gray), gray)
    assert_close(held.mean(dim=(0, 2, 3)), 1.5 * mean.mean(dim=(0, 2, 3)), rtol=0.05, atol=0.5)


def test_an_anchor_needs_a_mean(rgb):
    with pytest.raises(ConfigError, match=r"anchor = 1\.5: 'unnamed' has no head for the mean colour"):
        built("unetddim").sample(luma(rgb).float(), generators=generators_for(range(COUNT)), anchor=1.5)


@pytest.mark.parametrize("name", COLORIZERS)
def test_a_model_that_walks_shows_its_process_and_others_have_none(name, rgb):
    """With the start, one Step more; the noise is as strong as the levels say, and the truth is written as x_t is."""
    model = trembling(built(name))
    assert isinstance(model, Diffusing) == bool(few_steps(model))
    if not isinstance(model, Diffusing):
        return
    gray, levels = luma(rgb).float(), model.levels(3)
    with torch.no_grad():
        start, *rest = model.sample(gray, generators=generators_for(range(COUNT)), steps=3, with_start=True)
        usual = list(model.sample(gray, generators=generators_for(range(COUNT)), steps=3))
    assert [step.done for step in (start, *rest)] == [0, 1, 2, 3] == list(range(len(levels)))
    assert {step.total for step in (start, *rest)} == {3}
    assert all(torch.equal(one.x_t, other.x_t) for one, other in zip(rest, usual, strict=True))
    noise = (start.x_t - levels[0].alpha * start.x_0) / levels[0].sigma
    assert 0.95 < noise.std().item() < 1.05
    assert model.encode(rgb).shape == start.x_t.shape
    assert_close(
        model.space.encode(rgb.float()).mean(dim=(2, 3)), model.encode(rgb).mean(dim=(2, 3)), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(("name", "count"), [("unetddpm", 1), ("unetddpm", 2), ("splitdpm", 3)])
@pytest.mark.parametrize("target", ["eps", "x0", "v"])
def test_the_loss_against_a_slow_one(name, count, target, rgb):
    """One picture and one level at a time; random numbers in the order that is written: the levels, then the noise."""
    model = trembling(built(name, levels_per_picture=count, target=target, mean_weight=0.5))
    (player,) = players_of(name, model)
    player.eval()
    with torch.no_grad():
        losses = player(batch_of(rgb, range(COUNT)))
        squares, means = [], []
        for index in range(COUNT):
            generator, picture = generators_for([index])[0], rgb[index : index + 1]
            x_0 = torch.nn.functional.avg_pool2d(model.space.encode(picture.float()), model.network.reduction)
            features = model.network.encode(luma(picture).float() / 127.5 - 1)
            places = [(k + u) / count for k, u in enumerate(torch.rand(count, generator=generator).tolist())]
            noise = torch.randn(count, *x_0.shape[1:], generator=generator)
            for place, eps in zip(places, noise, strict=True):
                level = model.schedule.level(int(place * 1000))
                x_t = level.alpha * x_0 + level.sigma * eps
                wanted = {"eps": eps, "x0": x_0[0], "v": level.alpha * eps - level.sigma * x_0[0]}[target]
                prediction = model.network(x_t, level.batched(x_t), features)
                squares.append((prediction[0] - wanted).square().mean())
            if model.network.mean(features) is not None:
                means.append((model.network.mean(features) - x_0).square().mean())
    assert losses["mse"] == pytest.approx(torch.stack(squares).mean().item(), rel=1e-4)
    assert ("mean" in losses) == bool(means) == (name == "splitdpm")
    if means:
        assert losses["mean"] == pytest.approx(0.5 * torch.stack(means).mean().item(), rel=1e-4)


def test_a_model_that_has_learned_nothing_has_a_loss_of_one(rgb):
    model = built("unetddpm")
    with torch.no_grad():
        model.network.out.weight.zero_()
        model.network.out.bias.zero_()
        (player,) = players_of("unetddpm", model)
        losses = [player(batch_of(rgb, range(8 * i, 8 * i + 8)))["mse"] for i in range(8)]
    assert torch.stack(losses).mean() == pytest.approx(1, abs=0.03)


def test_categories_are_taught_only_where_asked(rgb):
    assert "category" not in players_of("splitdpm", built("splitdpm"))[0](batch_of(rgb, range(8)))
    model = built("splitdpm", category_weight=0.5)
    (player,) = players_of("splitdpm", model)
    assert player(batch_of(rgb, range(8)))["category"].item() == pytest.approx(0.5 * np.log(4), rel=0.3)
    assert not any("guess" in name for name in model.state_dict())  # only training needs it
    with pytest.raises(ConfigError, match="the backbone 'unet' has no encoder to teach"):
        players_of("unetddpm", built("unetddpm", category_weight=0.5))


def test_classes_condition_and_are_sometimes_hidden_in_training(rgb):
    model = trembling(built("unetddpm", classes=4))
    pictures = [coloured(model, rgb[:1], [0], steps=3, labels=torch.tensor([label])) for label in (0, 1)]
    assert not torch.equal(*pictures)
    unknown = coloured(model, rgb[:1], [0], steps=3)
    assert torch.equal(unknown, coloured(model, rgb[:1], [0], steps=3, labels=torch.tensor([-1])))
    gray, labels = luma(rgb[:2]).float(), torch.tensor([1, 3])
    with torch.no_grad():
        *_, many = model.sample(gray, generators=generators_for(range(4)), labels=labels, steps=2)
        *_, second = model.sample(gray[1:], generators=generators_for([2, 3]), labels=labels[1:], steps=2)
    assert_close(many.x_0[2:], second.x_0, rtol=1e-4, atol=1e-4)
    (player,) = players_of("unetddpm", model)
    seen = []
    model.network.labels.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    for step in range(60):
        player(batch_of(rgb, range(8 * step, 8 * step + 8)))
    hidden = (torch.cat(seen) == 4).float().mean()
    assert 0.06 < hidden < 0.15
    with pytest.raises(ConfigError, match="classes = 3: the set has 4 categories"):
        players_of("unetddpm", built("unetddpm", classes=3))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": 0}, ConfigError, "steps = 0: must be from 1 to the model's 1000 levels"),
        ({"steps": 1001}, ConfigError, "steps = 1001: must be"),
        ({"sampler": "dimm"}, UnknownName, "Did you mean 'ddim'"),
        ({"spacing": "karas"}, UnknownName, "Did you mean 'karras'"),
        ({"sampler": "ddpm", "eta": 0.5}, UnknownName, "option of sampler ddpm 'eta'"),
        ({"labels": torch.tensor([0])}, ConfigError, "is conditioned on the photograph alone"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_sampled(options, error, message, rgb):
    with pytest.raises(error, match=message):
        built("unetddpm").sample(luma(rgb[:1]).float(), generators=generators_for([0]), **options)


def test_defaults_that_cannot_be_walked_are_refused_when_the_model_is_built():
    with pytest.raises(ConfigError, match="steps = 50: must be from 1 to the model's 20 levels"):
        built("unetddpm", timesteps=20)


def test_an_unknown_family_or_network_names_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown family 'unetdpm'\. Did you mean 'unetddpm'"):
        FAMILIES["unetdpm"]
    with pytest.raises(UnknownName, match=r"unknown backbone 'unnet'\. Did you mean 'unet'"):
        from_dict(FAMILIES["unetddpm"].Options, {"backbone": "unnet"})
