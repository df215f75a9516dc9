"""How long a training will take: asking changes nothing, and the sums are right."""

from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from tinct.config import from_dict, merge
from tinct.training.estimate import duration, estimate
from tinct.training.options import TrainConfig
from tinct.training.progress import EpochDone, StepDone
from tinct.training.run import Run

STEPS = 4  # per epoch: 36 pictures of toy in batches of 8
JUDGED = {"adversarial": {"weight": 0.01, "from_stage": 2, "discriminator_width": 8}}


def made(toy: Path, tiny: dict, name: str = "run", **values) -> Run:
    values = merge({"model": {"network": {"dropout": 0.3}}, "training": {"learning_rate": 1e-2}}, values)
    return Run.new(toy / "models" / name, toy / "npzData" / "toy", from_dict(TrainConfig, merge(tiny, values)))


def outcome(run: Run) -> dict:
    """Everything that a training ends with, but for its times."""
    for _ in run.train():
        pass
    state = run.trainer.state()
    progress = state.pop("progress")
    rows = [{key: row[key] for key in row if "second" not in key} for row in progress.pop("history")]
    return {
        **state,
        "history": rows,
        **{key: value for key, value in progress.items() if key not in ("seconds", "cpu_seconds")},
    }


@pytest.mark.parametrize(
    "values",
    [{}, {"training": {"epochs": "1+1", "accumulate": 2, "patience": 1}, "loss": JUDGED}, {"family": "splitdpm"}],
    ids=["dropout", "stages", "split"],
)
def test_a_training_that_was_asked_ends_with_the_same_weights(toy, tiny, values):
    if "family" in values:
        tiny = {key: value for key, value in tiny.items() if key != "model"}
        values = values | {
            "model": {"size": 16, "timesteps": 40, "network": {"encoder": [8, 8, 16], "denoiser": [8, 16]}}
        }
    runs = [made(toy, tiny, name, **values) for name in ("plain", "asked")]
    random = torch.get_rng_state()
    estimate(runs[1], steps=6)  # goes over the end of an epoch
    assert torch.equal(torch.get_rng_state(), random)
    assert not runs[1].trainer.clock.seconds
    plain, asked = (outcome(run) for run in runs)
    assert_close(asked, plain, rtol=0, atol=0)


def test_a_run_that_goes_on_can_be_asked_too(toy, tiny):
    for name in ("plain", "asked"):
        for record in made(toy, tiny, name).train():
            if isinstance(record, StepDone) and record.step == 3:
                break
    plain, asked = (Run.resumed(toy / "models" / name, toy / "npzData" / "toy", []) for name in ("plain", "asked"))
    told = estimate(asked, steps=2)
    whole = 2 * told.seconds_per_epoch - 3 * told.seconds_per_step
    assert told.seconds == pytest.approx(whole)
    assert_close(outcome(asked), outcome(plain), rtol=0, atol=0)


def test_nothing_is_written(toy, tiny):
    estimate(made(toy, tiny))
    assert not (toy / "models").exists()


def test_the_sums(toy, tiny):
    run = made(toy, tiny, training={"epochs": 7})
    told = estimate(run)
    assert 0 < STEPS * told.seconds_per_step < told.seconds_per_epoch
    assert told.seconds == pytest.approx(7 * told.seconds_per_epoch)
    epoch, total = duration(told.seconds_per_epoch), duration(told.seconds)
    assert told.text == f"about {total}: 7 epochs of {epoch}"


def test_a_later_stage_goes_by_its_operations(toy, tiny):
    from tinct.training.cost import operations_per_picture

    run = made(toy, tiny, training={"epochs": "3+1"}, loss=JUDGED)
    first, second = operations_per_picture(run.trainer)
    told = estimate(run)
    assert told.seconds == pytest.approx(told.seconds_per_epoch * (3 + second / first))
    assert told.text.endswith(f", then 1 epoch of {duration(told.seconds_per_epoch * second / first)}")


def test_between_two_stages_the_next_is_timed(toy, tiny):
    run = made(toy, tiny, training={"epochs": "1+2"}, loss=JUDGED)
    for record in run.train():
        if isinstance(record, EpochDone):
            break
    run = Run.resumed(toy / "models" / "run", toy / "npzData" / "toy", [])
    assert run.trainer.stage_over
    told = estimate(run)
    assert told.seconds == pytest.approx(2 * told.seconds_per_epoch)


def test_one_step_is_enough(toy, tiny):
    run = made(toy, tiny, training={"epochs": 1, "batch_size": 36, "patience": 0, "validation_fraction": 0.0})
    told = estimate(run)
    assert told.seconds == told.seconds_per_epoch == told.seconds_per_step > 0


def test_validation_takes_its_time_in_proportion(toy, tiny):
    """More than half of the pictures are for validation, and only some of them are run through."""
    run = made(toy, tiny, training={"batch_size": 1, "validation_fraction": 0.9})
    seen, validate = [], run.trainer.validate

    def counting() -> dict[str, float]:
        seen.append(len(run.trainer.validation.indices))
        return validate()

    run.trainer.validate = counting
    held = run.trainer.validation
    told = estimate(run)
    assert seen == [2]
    assert run.trainer.validation is held
    assert told.seconds_per_epoch > len(run.trainer.feed) * told.seconds_per_step


def test_what_is_finished_takes_no_time(trained):
    run = Run.resumed(trained / "models" / "tiny", trained / "npzData" / "toy", [])
    assert (estimate(run).seconds, estimate(run).text) == (0.0, "nothing is left to do")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (40.2, "40 s"),
        (59.6, "1 min 0 s"),
        (156, "2 min 36 s"),
        (3599.7, "1 h 0 min"),
        (7800, "2 h 10 min"),
        (47.9 * 3600, "47 h 54 min"),
        (50 * 3600, "2 days 2 h"),
    ],
)
def test_times_in_words(seconds, text):
    assert duration(seconds) == text
