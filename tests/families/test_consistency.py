"""Consistency tuning: what is asked of the denoiser, and that nothing else learns."""

import copy

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tinct.color import luma
from tinct.config import from_dict
from tinct.diffusion import diffuse
from tinct.families import FAMILIES, Batch, generators_for
from tinct.families.denoising import agreed

SPLIT = {"encoder": [8, 8, 16], "denoiser": [8, 16], "deep_blocks": 2}
UNET = {"features": [8, 16], "time_embedding": 16}


def built(name: str, network: dict, **changes):
    torch.manual_seed(0)
    model = FAMILIES[name].build(from_dict(FAMILIES[name].Options, {"size": 16, "network": network, **changes}))
    with torch.no_grad():  # fresh networks begin as the identity
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return model


def player_of(name: str, model, **losses):
    (player,) = FAMILIES[name].objectives(model, from_dict(FAMILIES[name].Losses, losses), 4)
    return player


def batch_of(count: int = 4) -> Batch:
    rgb = torch.randint(0, 256, (count, 3, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    return Batch(rgb, torch.arange(count) % 4, generators_for(range(count)))


@pytest.mark.parametrize("gap", [0.02, 0.1, 0.3])
def test_the_wanted_x_0_is_the_models_own_from_less_noise(gap):
    """One picture at a time, by the paper's formula."""
    model = built("splitdpm", SPLIT)
    batch = batch_of()
    x_0 = model.encode(batch.rgb)
    features = model.network.encode(luma(batch.rgb).float() / 127.5 - 1)
    eps = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(2))
    level = model.schedule.levels(torch.tensor([5, 200, 600, 990]))
    wanted = agreed(model, x_0, eps, level, gap, features, batch.labels)
    assert not wanted.requires_grad
    for index, s in enumerate(level.ratio.flatten().tolist()):
        lower_s = s * (1 - gap * (1 + 8 * float(torch.sigmoid(torch.tensor(-s / 12)))))
        own = x_0[index : index + 1]
        if lower_s > model.schedule.level(0).ratio:
            lower = model.schedule.at_ratio(lower_s).batched(own)
            x_lower = diffuse(own, eps[index : index + 1], lower)
            one = tuple(part[index : index + 1] for part in features)
            own = model.target.x_0(model.network(x_lower, lower, one), x_lower, lower)
            own = own.clamp(-model.limit, model.limit)
        assert_close(wanted[index : index + 1], own.detach(), rtol=1e-3, atol=1e-4)


def test_a_gap_that_reaches_the_end_asks_for_the_truth():
    """At low levels n(s) is 5: with a gap of 0.3 nothing of the noise is left, so the loss is that of plain training."""
    model = built("splitdpm", SPLIT)
    x_0 = model.encode(batch_of().rgb)
    level = model.schedule.levels(torch.tensor([0, 1, 2, 3]))
    features = model.network.encode(torch.zeros(4, 1, 16, 16))
    assert torch.equal(agreed(model, x_0, torch.zeros_like(x_0), level, 0.3, features, batch_of().labels), x_0)


@pytest.mark.parametrize(("name", "network"), [("splitdpm", SPLIT), ("unetddpm", UNET), ("generation", UNET)])
def test_tuning_brings_the_ends_of_one_path_together(name, network):
    """What two levels of one noise lead to comes closer; an encoder and its heads stay byte for byte."""
    model = built(name, network, target="v")
    player = player_of(name, model, consistency_gap=0.2)
    still = {key: value.clone() for key, value in model.state_dict().items() if ".encoder." in key}
    learning = [parameter for parameter in player.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learning, 2e-3)

    def loss() -> float:
        with torch.no_grad():
            return player(batch_of())["mse"].item()

    before = loss()
    for _ in range(40):
        optimizer.zero_grad()
        terms = player(batch_of())
        assert set(terms) == {"mse"}
        terms["mse"].backward()
        optimizer.step()
    assert loss() < 0.7 * before
    assert bool(still) == (name == "splitdpm")
    for key, value in still.items():
        assert torch.equal(model.state_dict()[key], value)


def test_each_further_stage_has_a_quarter_of_the_gap():
    model = built("splitdpm", SPLIT)
    player = player_of("splitdpm", model, consistency_gap=0.4)
    wide = copy.deepcopy(player)
    player.stage = 2
    narrow = player_of("splitdpm", model, consistency_gap=0.1)

    def loss(one) -> Tensor:
        with torch.no_grad():
            return one(batch_of())["mse"]

    assert_close(loss(player), loss(narrow))
    assert loss(player) != loss(wide)
