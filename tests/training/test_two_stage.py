"""Two stages: the mean squared error alone, then the other losses beside it; broken off, gone on with, added to later."""

from math import isfinite
from pathlib import Path

import pytest
import torch

from tinct import weights
from tinct.config import from_dict, merge
from tinct.training.options import TrainConfig
from tinct.training.progress import StepDone
from tinct.training.run import Run

JUDGED = {
    "perceptual": {"weight": 0.5, "from_stage": 2},
    "adversarial": {"weight": 0.01, "from_stage": 2, "discriminator_width": 8},
}
STAGES = {"epochs": "1+2", "batch_size": 8, "accumulate": 2, "learning_rate": 2e-3}


def made(toy: Path, tiny: dict, folder: str, feature_weights: Path, **changes) -> Run:
    values = merge(tiny, {"training": STAGES, "loss": JUDGED, "model": {"network": {"dropout": 0.1}}})
    config = from_dict(TrainConfig, merge(values, changes))
    return Run.new(toy / "models" / folder, toy / "npzData" / "toy", config, feature_weights=feature_weights)


def trained(run: Run) -> Run:
    for _ in run.train():
        pass
    return run


def states(run: Run) -> list[dict[str, torch.Tensor]]:
    return [{key: value.clone() for key, value in player.state_dict().items()} for player in run.trainer.players]


def same(one: list[dict[str, torch.Tensor]], other: list[dict[str, torch.Tensor]]) -> list[bool]:
    return [all(torch.equal(a[key], b[key]) for key in a) for a, b in zip(one, other, strict=True)]


def test_the_second_stage_adds_its_losses_and_moves_both_players(toy, tiny, feature_weights):
    run = made(toy, tiny, "staged", feature_weights)
    fresh = states(run)
    trained(run)
    after_first = weights.load_checkpoint(run.folder / "checkpoint_epoch_1.pth")["objective_state_dicts"]
    assert same(fresh, after_first) == [False, True]  # the discriminator waits
    assert same(after_first, states(run)) == [False, False]
    first, second, third = run.trainer.progress.history
    assert first["train_terms"].keys() == first["val_terms"].keys() == {"mse"}
    for row in (second, third):
        assert row["train_terms"].keys() == {"mse", "perceptual", "adversarial", "discriminator"}
        assert row["val_terms"].keys() == {"mse", "perceptual", "adversarial"}
        judged = row["val_terms"]["mse"] + row["val_terms"]["perceptual"]  # the other term depends on the discriminator
        assert row["val_loss"] == pytest.approx(judged)
        assert all(isfinite(value) for terms in (row["train_terms"], row["val_terms"]) for value in terms.values())
    assert third["val_terms"]["perceptual"] < second["val_terms"]["perceptual"]


def test_checkpoints_say_which_losses_count_and_hold_no_perceptual_network(toy, tiny, feature_weights):
    run = trained(made(toy, tiny, "staged", feature_weights))
    before, after = (weights.load_checkpoint(run.folder / f"checkpoint_epoch_{epoch}.pth") for epoch in (1, 3))
    names = ("mse_weight", "perceptual_weight", "adversarial_weight", "use_gan")
    assert [before["loss_state_dict"][name] for name in names] == [1.0, 0.0, 0.0, False]
    assert [after["loss_state_dict"][name] for name in names] == [1.0, 0.5, 0.01, True]
    assert not [key for state in after["objective_state_dicts"] for key in state if "features" in key]
    assert (run.folder / "last.pth").stat().st_size < 4e6  # VGG16 alone is 30 MB


def test_broken_off_in_the_second_stage_it_ends_with_the_same_weights(toy, tiny, feature_weights):
    whole = trained(made(toy, tiny, "whole", feature_weights))
    run = made(toy, tiny, "broken", feature_weights)
    for stop in (4, 5):  # three steps per epoch
        steps = run.train()
        for record in steps:
            if isinstance(record, StepDone) and run.trainer.progress.steps_done == stop:
                break
        steps.close()
        run = Run.resumed(run.folder, run.data, [], feature_weights=feature_weights)
        assert run.trainer.progress.steps_done == stop
    assert same(states(trained(run)), states(whole)) == [True, True]
    rows = [[row["train_terms"] for row in one.trainer.progress.history] for one in (run, whole)]
    assert rows[0] == [pytest.approx(terms) for terms in rows[1]]


def test_a_run_that_knew_the_squared_error_only_goes_on_with_more(toy, tiny, feature_weights):
    plain = {"perceptual": {"weight": 0.0, "from_stage": 1}, "adversarial": {"weight": 0.0, "from_stage": 1}}
    run = trained(made(toy, tiny, "plain", feature_weights, loss=plain, training={"epochs": 1}))
    assert len(run.trainer.players) == 1
    learned = run.model.state_dict()["network.out.weight"].clone()
    added = [f"loss.{name}.{key}={value}" for name, part in JUDGED.items() for key, value in part.items()]
    again = Run.resumed(run.folder, run.data, ["epochs=1+1", *added], feature_weights=feature_weights)
    assert torch.equal(again.model.state_dict()["network.out.weight"], learned)
    assert len(again.trainer.players) == 2
    first, second = trained(again).trainer.progress.history
    assert (first["stage"], second["stage"]) == (1, 2)
    assert second["train_terms"].keys() - first["train_terms"].keys() == {"perceptual", "adversarial", "discriminator"}
