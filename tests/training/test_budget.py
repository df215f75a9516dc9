"""A training that ends by its budget: of pictures, exactly and with the same weights; of CPU time, over several starts."""

import time
from contextlib import closing
from threading import Thread

import pytest
import torch
from torch.testing import assert_close

from tinct import zoo
from tinct.config import from_dict, merge
from tinct.errors import ConfigError
from tinct.files import read_json
from tinct.training import budget
from tinct.training.cost import epochs_left, steps_left
from tinct.training.estimate import estimate
from tinct.training.options import TrainConfig, TrainingOptions
from tinct.training.progress import EpochDone, Progress, StepDone
from tinct.training.rates import RATES
from tinct.training.run import Run

BATCH, STEPS = 8, 4  # per epoch: 36 pictures of toy in batches of 8


def made(toy, tiny, name="run", **training) -> Run:
    values = merge(tiny, {"training": {"epochs": 50, "patience": 0, "learning_rate": 1e-2, **training}})
    return Run.new(toy / "models" / name, toy / "npzData" / "toy", from_dict(TrainConfig, values))


def resumed(toy, name="run", *changes) -> Run:
    return Run.resumed(toy / "models" / name, toy / "npzData" / "toy", changes)


def records_of(run: Run) -> list:
    return list(run.train())


def rows_of(toy, name="run") -> list[dict]:
    return read_json(toy / "models" / name / "training_history.json")


def test_a_budget_of_pictures_ends_in_the_middle_of_an_epoch_with_a_validation(toy, tiny):
    run = made(toy, tiny, budget_pictures=6 * BATCH)
    records = records_of(run)
    assert [record.step for record in records if isinstance(record, StepDone)] == [1, 2, 3, 4, 1, 2]
    assert [record.epoch for record in records if isinstance(record, EpochDone)] == [1, 2]
    assert run.trainer.progress.pictures_seen == 6 * BATCH
    assert all(row["val_loss"] for row in rows_of(toy))
    assert run.finished
    assert run.trainer.budget_spent
    assert zoo.load("run").header["pictures_seen"] in (4 * BATCH, 6 * BATCH)  # of the best epoch


def test_a_budget_within_the_first_epoch_leaves_a_model(toy, tiny):
    records_of(made(toy, tiny, budget_pictures=BATCH + 1))  # the step that passes the budget is done
    assert zoo.load("run").header["pictures_seen"] == 2 * BATCH
    assert len(rows_of(toy)) == 1


def test_epochs_remain_the_upper_bound(toy, tiny):
    run = made(toy, tiny, epochs=2, budget_pictures=10**6)
    assert epochs_left(run.trainer) == [2]
    records_of(run)
    assert run.trainer.progress.pictures_seen == 2 * STEPS * BATCH
    assert not run.trainer.budget_spent


def test_the_rate_follows_the_share_of_the_budget(toy, tiny):
    run = made(toy, tiny, budget_pictures=6 * BATCH, rate="linear")
    rates = [run.trainer.rate() for record in run.train() if isinstance(record, StepDone)]
    assert rates == pytest.approx([1e-2 * RATES["linear"](done / 6) for done in range(1, 7)], abs=1e-12)


@pytest.mark.parametrize("stops", [[3], [6], [2, 3]], ids=str)
def test_broken_off_anywhere_it_ends_with_the_same_weights(toy, tiny, stops):
    """After the sixth step, the last, an epoch's end and its validation are still to be done."""
    options = {"budget_pictures": 6 * BATCH, "rate": "cosine"}
    whole = made(toy, tiny, "whole", **options)
    records_of(whole)
    run = made(toy, tiny, **options)
    for stop in stops:
        with closing(run.train()) as records:
            steps = (record for record in records if isinstance(record, StepDone))
            for _ in range(stop):
                next(steps)
        run = resumed(toy)
        assert not run.finished
    records_of(run)
    assert run.finished
    for key in ("model_state_dict", "ema_state_dict", "optimizer_state_dict"):
        assert_close(run.trainer.state()[key], whole.trainer.state()[key], rtol=0, atol=0)
    assert [row["val_loss"] for row in rows_of(toy)] == [row["val_loss"] for row in rows_of(toy, "whole")]


def test_a_larger_budget_goes_on_and_a_smaller_one_is_spent(toy, tiny):
    records_of(made(toy, tiny, budget_pictures=6 * BATCH))
    assert resumed(toy, "run").finished
    assert resumed(toy, "run", "budget_pictures=8").finished
    more = resumed(toy, "run", f"budget_pictures={7 * BATCH}")
    assert not more.finished
    records_of(more)
    assert more.trainer.progress.pictures_seen == 7 * BATCH
    assert [row["epoch"] for row in rows_of(toy)] == [1, 2, 3]


def test_a_budget_of_cpu_time_counts_the_steps_of_all_starts(toy, tiny):
    minutes = 0.02
    began = time.process_time()
    run = made(toy, tiny, epochs=10**6, budget_cpu_minutes=minutes)
    with closing(run.train()) as records:
        for record in records:
            if isinstance(record, StepDone) and run.trainer.progress.cpu_seconds > 60 * minutes / 2:
                break
    before = run.trainer.progress.cpu_seconds
    again = resumed(toy)
    assert again.trainer.progress.cpu_seconds == before
    records_of(again)
    spent = again.trainer.progress.cpu_seconds
    assert 60 * minutes <= spent <= min(60 * minutes + 0.5, time.process_time() - began)
    assert again.finished
    assert rows_of(toy)[-1]["val_loss"] is not None
    assert zoo.load("run").header["cpu_minutes"] > 0


def test_cpu_time_is_that_of_all_threads(toy, tiny):
    run = made(toy, tiny, epochs=1)
    step = run.trainer._step

    def work():
        until = time.thread_time() + 0.1
        while time.thread_time() < until:
            torch.randn(200, 200)

    def hot(*arguments):  # the same step, and 0.1 s of another thread
        thread = Thread(target=work)
        thread.start()
        thread.join()
        return step(*arguments)

    run.trainer._step = hot
    records_of(run)
    assert run.trainer.progress.cpu_seconds >= STEPS * 0.1


def test_what_is_left_is_known(toy, tiny):
    run = made(toy, tiny, budget_pictures=6 * BATCH)
    assert (epochs_left(run.trainer), steps_left(run.trainer)) == ([2], 6)
    told = estimate(run, steps=2)
    assert told.text.endswith("until its budget is spent: 48 pictures")
    assert 0 < told.seconds < 2 * told.seconds_per_epoch
    with closing(run.train()) as records:
        for record in records:
            if isinstance(record, StepDone) and run.trainer.progress.steps_done == 5:
                assert (epochs_left(run.trainer), steps_left(run.trainer)) == ([1], 1)
                break
    records_of(resumed(toy))
    report = read_json(toy / "models" / "run" / "cost_analysis_report.json")
    assert (report["epochs_left"], report["seconds_left"]) == (0, 0)


def test_a_budget_of_cpu_time_is_estimated_from_the_steps_that_were_timed(toy, tiny):
    run = made(toy, tiny, epochs=10**6, budget_cpu_minutes=1)
    told = estimate(run, steps=3)
    assert 5 < told.seconds < 600
    assert told.text.endswith("1 CPU minutes")
    assert run.trainer.progress.cpu_seconds == 0


def test_the_arithmetic():
    options = from_dict(TrainingOptions, {"budget_pictures": 100, "budget_cpu_minutes": 1})
    progress = Progress(pictures_seen=40, cpu_seconds=30, steps_done=5)
    assert budget.spent(options, progress) == 0.5
    assert budget.steps_left(options, progress, 8) == 5  # 30 s at 6 s a step; of pictures it would be 8
    assert budget.described(options) == "100 pictures or 1 CPU minutes"
    assert budget.spent(TrainingOptions(), progress) == 0


def test_a_budget_is_for_one_stage(toy, tiny):
    with pytest.raises(ConfigError, match="a budget is for a training of one stage"):
        made(toy, tiny, epochs="1+1", budget_pictures=100)
