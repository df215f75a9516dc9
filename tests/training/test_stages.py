"""Stages of a training, going back to an earlier checkpoint, and what changes with the losses."""

import pytest
from torch.testing import assert_close

from tinct.config import from_dict, merge, to_dict
from tinct.errors import ConfigError
from tinct.files import read_json
from tinct.training.folder import epoch_checkpoint
from tinct.training.options import TrainConfig
from tinct.training.progress import EpochDone, StepDone
from tinct.training.run import Run
from tinct.weights import load_checkpoint


def config_of(tiny: dict, **training) -> TrainConfig:
    return from_dict(TrainConfig, merge(tiny, {"training": training}))


def started(toy, tiny, name: str = "run", **training) -> Run:
    return Run.new(toy / "models" / name, toy / "npzData" / "toy", config_of(tiny, **training))


def finish(run: Run) -> Run:
    for _ in run.train():
        pass
    return run


@pytest.mark.parametrize(("written", "epochs"), [(3, (3,)), ("2+1", (2, 1)), ([2, 1], (2, 1)), ("4", (4,))])
def test_epochs_are_written_as_a_number_or_a_sum(tiny, written, epochs):
    config = config_of(tiny, epochs=written)
    assert config.training.epochs == epochs
    assert to_dict(config)["training"]["epochs"] == (epochs[0] if len(epochs) == 1 else "2+1")
    assert from_dict(TrainConfig, to_dict(config)) == config


@pytest.mark.parametrize("wrong", ["2+", "2+0", "2-1", "", 0, 1.5])
def test_other_epochs_are_refused(tiny, wrong):
    with pytest.raises(ConfigError, match="epochs"):
        config_of(tiny, epochs=wrong)


def test_each_stage_has_its_own_course_of_the_rate_and_its_own_best(toy, tiny):
    run = started(toy, tiny, epochs="2+1", rate="linear", learning_rate=1.0, warmup_steps=0, ema_decay=0.0)
    optimizer, rates, rows = run.trainer.optimizers[0], [], []
    for record in run.trainer.run():
        if isinstance(record, StepDone):
            rates.append(optimizer.param_groups[0]["lr"])
        elif isinstance(record, EpochDone):
            rows.append(record)
    assert rates == pytest.approx([1 - step / 8 for step in range(8)] + [1 - step / 4 for step in range(4)])
    assert [record.row["stage"] for record in rows] == [1, 1, 2]
    assert [record.row["epoch"] for record in rows] == [1, 2, 3]
    assert rows[2].best
    assert run.trainer.progress.best == rows[2].row["val_loss"]


def test_patience_ends_a_stage_and_the_next_one_begins(toy, tiny):
    run = started(toy, tiny, epochs="20+1", patience=1, learning_rate=0.4, ema_decay=0.0, sample_every=99)
    done = [record for record in run.train() if isinstance(record, EpochDone)]
    assert [record.row["stage"] for record in done] == [1] * (len(done) - 1) + [2]
    assert done[-2].stopped
    assert 2 <= len(done) < 21
    sheets = {path.name for path in run.folder.glob("samples*")}
    assert sheets == {f"samples_epoch_{record.epoch}.png" for record in done[-2:]}  # the end of each stage
    assert load_checkpoint(run.folder / "best_model.pth")["epoch"] == done[-1].epoch


def test_a_stage_that_is_added_later_is_that_of_a_run_that_had_it(toy, tiny):
    whole = finish(started(toy, tiny, "whole", epochs="1+1"))
    first = finish(started(toy, tiny, "first", epochs=1))
    added = finish(Run.resumed(first.folder, first.data, ["epochs=1+1"]))
    assert added.trainer.progress.stage == 2
    assert_close(added.model.state_dict(), whole.model.state_dict(), rtol=0, atol=0)
    with pytest.raises(ConfigError, match=r"the run is in stage 2 already: give it as many numbers, such as 2\+2"):
        Run.resumed(first.folder, first.data, ["epochs=3"])


def test_losses_that_change_make_what_is_best_begin_anew(toy, tiny):
    run = finish(started(toy, tiny))
    again = Run.resumed(run.folder, run.data, ["epochs=3", "loss.mse=2"])
    assert again.trainer.progress.best == float("inf")
    assert Run.resumed(run.folder, run.data, ["epochs=3"]).trainer.progress.best < 2
    finish(again)
    rows = read_json(run.folder / "training_history.json")
    assert rows[2]["train_terms"]["mse"] == pytest.approx(2 * rows[1]["train_terms"]["mse"], rel=0.3)


def test_going_back_to_an_earlier_checkpoint_forgets_what_came_after(toy, tiny):
    """The rest of the training is then done as it was done the first time."""
    run = finish(started(toy, tiny, epochs=4))
    folder, end = run.folder, {name: value.clone() for name, value in run.model.state_dict().items()}
    back = Run.resumed(folder, run.data, [], epoch_checkpoint(folder, 2))
    assert back.rewound
    assert back.trainer.progress.epoch == 3
    assert epoch_checkpoint(folder, 4).exists()  # nothing is dropped before the training goes on
    records = back.train()
    next(records)
    assert not epoch_checkpoint(folder, 3).exists()
    assert not (folder / "samples_epoch_4.png").exists()
    assert len(read_json(folder / "training_history.json")) == 2
    assert load_checkpoint(folder / "best_model.pth")["epoch"] <= 2
    records.close()
    again = finish(Run.resumed(folder, run.data, []))
    assert_close(again.model.state_dict(), end, rtol=0, atol=0)
    assert [row["epoch"] for row in read_json(folder / "training_history.json")] == [1, 2, 3, 4]


def test_the_newest_checkpoint_by_name_is_no_way_back(trained):
    folder, data = trained / "models" / "tiny", trained / "npzData" / "toy"
    run = Run.resumed(folder, data, ["epochs=3"], folder / "last.pth")
    assert not run.rewound


@pytest.mark.parametrize("name", ["adamw", "adam"])
def test_one_step_of_each_optimizer(toy, tiny, name):
    """Adam adds the decay to the gradient, AdamW takes it off the weight."""
    run = started(toy, tiny, optimizer=name, clip=0.0, learning_rate=1e-2, weight_decay=0.5)
    weight = run.model.network.out.weight
    before, gradients = weight.detach().clone(), []
    run.trainer.optimizers[0].optimizer.register_step_pre_hook(lambda *_: gradients.append(weight.grad.clone()))
    next(run.trainer.run())
    gradient = gradients[0] + (0.5 * before if name == "adam" else 0.0)
    decayed = before * (1 - 1e-2 * 0.5) if name == "adamw" else before
    step = gradient / (gradient.abs() + 1e-8)  # of Adam, bias corrected: the first one has the size of the rate
    assert_close(weight.detach(), decayed - 1e-2 * step, rtol=1e-4, atol=1e-6)
