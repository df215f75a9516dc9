"""Jumps: one network that can also be asked for the end of a walk, and how it learns that."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from families.test_consistency import SPLIT, UNET, batch_of, built, player_of
from tinct.cli.train_plan import settings
from tinct.color import luma
from tinct.errors import ConfigError
from tinct.families import generators_for
from tinct.training.run import _load_base

JUMPING = {**SPLIT, "jumps": True}


def trained(player, model, steps: int) -> None:
    optimizer = torch.optim.Adam([one for one in player.parameters() if one.requires_grad], 2e-3)
    for step in range(steps):  # other noise each time
        optimizer.zero_grad()
        sum(player(replace(batch_of(), generators=generators_for(range(4 * step, 4 * step + 4)))).values()).backward()
        optimizer.step()


def ends(model, **walk):
    """Of walks from pure noise, (B, C, h, w)."""
    gray = luma(batch_of().rgb).float()
    with torch.no_grad():
        *_, last = model.sample(gray, generators=generators_for(range(1000, 1004)), anchor=0, **walk)
    return last.x_0


def test_a_model_that_begins_to_learn_jumps_is_the_one_it_was():
    """Its new weights are zero: it gives for both questions what its base gives for the one."""
    base, model = built("splitdpm", SPLIT), built("splitdpm", JUMPING)
    with torch.no_grad():
        model.network.decoder.embedding.jump.zero_()
    _load_base(model, base.state_dict(), "base")
    gray, x_t = torch.zeros(1, 1, 16, 16), torch.ones(1, 2, 8, 8)
    level = model.schedule.at_ratio(5.0).batched(x_t)
    wanted = base.network(x_t, level, base.network.encode(gray))
    for asked in (level, level.jumping()):
        assert torch.equal(model.network(x_t, asked, model.network.encode(gray)), wanted)


def test_jumps_come_to_end_where_the_walk_does():
    torch.manual_seed(1)
    model = built("splitdpm", JUMPING, steps=5)
    still = {key: value.clone() for key, value in model.state_dict().items() if ".encoder." in key}
    player = player_of("splitdpm", model, endpoint=1.0)
    end, before = ends(model), ends(model, sampler="consistency", steps=1)
    trained(player, model, steps=200)
    after = ends(model, sampler="consistency", steps=1)
    assert F.mse_loss(after, end) < 0.5 * F.mse_loss(before, end)
    for key, value in still.items():
        assert torch.equal(model.state_dict()[key], value)


@pytest.mark.parametrize("name", ["unetddpm", "generation"])
def test_a_u_net_learns_them_too(name):
    model = built(name, {**UNET, "jumps": True, "dropout": 0.0}, steps=5, target="v")
    player = player_of(name, model, endpoint=20.0)

    def loss() -> Tensor:
        with torch.no_grad():
            return player(batch_of())["endpoint"]

    before = loss()
    trained(player, model, steps=150)
    assert loss() < 0.95 * before
    assert model.network.jump.abs().min() > 0


def test_the_teacher_is_the_model_as_it_was_also_after_a_resume():
    model = built("splitdpm", JUMPING, steps=5)
    player = player_of("splitdpm", model, endpoint=1.0)
    with torch.no_grad():
        for parameter in model.parameters():  # what --from loads comes after the player is made
            parameter.mul_(0.9)
    start = {key: value.clone() for key, value in model.state_dict().items()}
    trained(player, model, steps=2)
    again = player_of("splitdpm", built("splitdpm", JUMPING, steps=5), endpoint=1.0)
    again.load_state_dict(player.state_dict())
    trained(again, again.model, steps=1)
    for one in (player, again):
        assert_close(one.teacher.model.state_dict(), start, rtol=0, atol=0)
        assert not any(parameter.requires_grad for parameter in one.teacher.model.parameters())
        assert not any(module.training for module in one.train().teacher.model.modules())


@pytest.mark.parametrize(("name", "network"), [("splitdpm", SPLIT), ("unetddpm", UNET)])
def test_a_network_that_does_not_jump_is_refused(name, network):
    with pytest.raises(ConfigError, match=r"can't be asked for the end of a walk\. Add --set jumps=true"):
        player_of(name, built(name, network), endpoint=1.0)


def test_few_steps_of_a_network_that_jumps_are_jumps():
    """Unless another sampler is asked for; their levels are those of that sampler."""
    model, other = built("splitdpm", JUMPING), built("splitdpm", SPLIT)
    assert [model.way(steps)[1:] for steps in (1, 4)] == [("jump", "halving")] * 2
    assert model.way(5) == (5, "dpm++2m", "karras")
    assert model.way() == (8, "dpm++2m", "karras")
    assert model.way(2, "ddim") == other.way(2, "ddim") == (2, "ddim", "karras")
    assert [round(level.ratio, 3) for level in model.levels(2)] == [80, 40, 0]
    assert model.levels(2, sampler="dpm++2m") == other.levels(2)
    assert torch.equal(ends(model, steps=2), ends(model, steps=2, sampler="jump", spacing="halving"))
    assert not torch.equal(ends(model, steps=2), ends(model, steps=2, sampler="dpm++2m"))


def test_a_training_that_teaches_no_jumps_keeps_none():
    """Those of the bundled model would be out of date; a recipe that teaches them goes on with them."""
    plain, teaching = settings("photo", "photo")["model"], settings("tune-few-steps", "photo")["model"]
    assert (plain["network"]["jumps"], teaching["network"]["jumps"]) == (False, True)
    assert "steps" not in plain
    base, model = built("splitdpm", JUMPING), built("splitdpm", SPLIT)
    _load_base(model, base.state_dict(), "base")
    for name, value in model.state_dict().items():
        assert torch.equal(value, base.state_dict()[name])
