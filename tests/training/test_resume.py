"""A training that is broken off, at any place and in any way, goes on to the same weights, bit for bit."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from tinct.config import from_dict, merge, to_dict
from tinct.errors import ConfigError, DataError, WeightsError
from tinct.files import read_json
from tinct.training.options import TrainConfig
from tinct.training.progress import EpochDone, StepDone
from tinct.training.run import Run
from tinct.weights import load_checkpoint

EPOCHS, STEPS = 2, 4  # 36 pictures of toy in batches of 8

KINDS = {
    "dropout": {},
    "split": {
        "family": "splitdpm",
        "model": {"network": {"encoder": [8, 8, 16], "denoiser": [8, 16], "dropout": 0.1}, "category_weight": 0.1},
        "training": {"augment": "crop", "degrade": "old", "rate": "cosine", "warmup_steps": 5},
    },
    "classes": {"model": {"classes": 4, "network": {"block": "residual", "time_in": "blocks", "resample": "conv"}}},
}


def config_of(tiny: dict, kind: str = "dropout") -> TrainConfig:
    """The settings of a kind of run: two epochs, dropout on, float32."""
    values = merge(tiny, {"training": {"epochs": EPOCHS, "learning_rate": 1e-2}})
    if "family" in KINDS[kind]:
        values["model"] = {"size": 16, "timesteps": 40, "steps": 4}
    return from_dict(TrainConfig, merge(values, KINDS[kind]))


def parts_of(run: Run) -> dict:
    """Everything that must be the same in the end: weights, average, optimizer, and losses of each epoch."""
    state = run.trainer.state()
    rows = [
        {key: row[key] for key in ("train_loss", "val_loss", "train_terms")} for row in state["progress"]["history"]
    ]
    return {key: state[key] for key in state if key != "progress"} | {"history": rows}


def assert_same(run: Run, whole: dict) -> None:
    assert_close(parts_of(run), whole, rtol=0, atol=0)


def trained_through(run: Run) -> Run:
    for _ in run.train():
        pass
    return run


def stop_after(run: Run, records: int) -> None:
    """Takes so many records, then closes the generator, as somebody does who has seen enough."""
    with closing(run.train()) as train:
        for _ in range(records):
            next(train)


@pytest.fixture(scope="module")
def whole(tiny, trained_once, tmp_path_factory) -> dict:
    """The parts of runs of every kind that nothing interrupted."""
    folder, data = tmp_path_factory.mktemp("whole"), trained_once / "npzData" / "toy"
    return {kind: parts_of(trained_through(Run.new(folder / kind, data, config_of(tiny, kind)))) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_closed_in_mid_epoch_and_resumed(toy, tiny, whole, kind):
    folder, data = toy / "models" / "broken", toy / "npzData" / "toy"
    stop_after(Run.new(folder, data, config_of(tiny, kind)), 2)
    again = Run.resumed(folder, data, [])
    assert (again.trainer.progress.epoch, again.trainer.progress.step) == (1, 2)
    stop_after(again, STEPS + 3)  # into the second epoch, past the records of the first one's end
    assert_same(trained_through(Run.resumed(folder, data, [])), whole[kind])


@pytest.mark.parametrize("records", [4, 5, 6, 7, 13])
def test_every_place_to_stop_gives_the_same_weights_and_all_files(toy, tiny, whole, records):
    """An epoch's records are its steps, its end, its checkpoint and its sheet: after the last step and each of these."""
    folder, data = toy / "models" / "broken", toy / "npzData" / "toy"
    stop_after(Run.new(folder, data, config_of(tiny)), records)
    run = Run.resumed(folder, data, [])
    if not run.finished:
        trained_through(run)
    assert_same(run, whole["dropout"])
    names = {path.name for path in folder.iterdir()}
    epochs = range(1, EPOCHS + 1)
    assert names == {
        "config.json",
        "training_history.json",
        "loss_curve.png",
        "best_model.pth",
        "last.pth",
        "cost_analysis_report.json",
    }.union(*({f"checkpoint_epoch_{n}.pth", f"samples_epoch_{n}.png"} for n in epochs))
    assert [row["epoch"] for row in read_json(folder / "training_history.json")] == list(epochs)
    assert load_checkpoint(folder / "last.pth")["epoch"] == EPOCHS
    assert Run.resumed(folder, data, []).finished


class _Killed(BaseException):
    """Not an Exception, and not Ctrl+C: nothing may be saved on its way, as nothing is when a process is killed."""


@pytest.mark.parametrize("victim", ["checkpoint_epoch_2.pth", "samples_epoch_2.png", "last.pth"])
def test_dying_before_a_file_of_an_epoch_gets_its_name(toy, tiny, whole, victim, monkeypatch):
    folder, data = toy / "models" / "broken", toy / "npzData" / "toy"
    rename = Path.replace

    def replace(self, target):
        if Path(target).name == victim and (folder / "samples_epoch_1.png").exists() and epoch_two(folder, victim):
            raise _Killed
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(_Killed):
        trained_through(Run.new(folder, data, config_of(tiny)))
    monkeypatch.undo()
    run = trained_through(Run.resumed(folder, data, []))
    assert_same(run, whole["dropout"])
    assert len(read_json(folder / "training_history.json")) == EPOCHS
    assert (folder / "samples_epoch_2.png").is_file()
    assert not list(folder.glob(".*"))


def epoch_two(folder: Path, victim: str) -> bool:
    return "_2." in victim or (folder / "checkpoint_epoch_2.pth").exists()


def killed_often(toy: Path, tiny: dict, kills: int, seed: int) -> tuple[Run, dict]:
    """The run of kind "dropout", which saves after every step, trained to its end through so many kills; what they hit."""
    folder, data = toy / "models" / "broken", toy / "npzData" / "toy"
    settings = merge(to_dict(config_of(tiny)), {"training": {"checkpoint_minutes": 0.0}})
    asked = {
        "folder": str(folder),
        "data": str(data),
        "settings": settings,
        "kills": kills,
        "seed": seed,
    }
    script = Path(__file__).with_name("killed_often.py")
    done = subprocess.run([sys.executable, script, json.dumps(asked)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Run.resumed(folder, data, []), json.loads(done.stdout)


def test_killed_three_times_at_random(toy, tiny, whole):
    run, hit = killed_often(toy, tiny, kills=3, seed=1)
    assert hit["kills"] == 3
    assert run.finished
    assert_same(run, whole["dropout"])


@pytest.mark.slow
def test_killed_thirty_times_at_random_and_also_while_writing(toy, tiny, whole):
    run, hit = killed_often(toy, tiny, kills=30, seed=2)
    print(hit)
    assert hit["kills"] == 30
    assert hit["while_writing"] >= 3
    assert run.finished
    assert_same(run, whole["dropout"])
    assert not list(run.folder.glob(".*"))


@pytest.mark.parametrize("moment", ["forward", "before the optimizer", "after it"])
def test_ctrl_c_in_the_middle_of_a_step(toy, tiny, whole, moment):
    """The step is done to its end, then the state is saved: weights, average and progress are of one step."""
    folder, data = toy / "models" / "broken", toy / "npzData" / "toy"
    run = Run.new(folder, data, config_of(tiny))

    def interrupt(*_):
        if run.trainer.progress.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    hooks = {
        "forward": lambda: run.model.network.bottleneck.register_forward_hook(interrupt),
        "before the optimizer": lambda: run.trainer.optimizers[0].optimizer.register_step_pre_hook(interrupt),
        "after it": lambda: run.trainer.optimizers[0].optimizer.register_step_post_hook(interrupt),
    }
    hooks[moment]()
    with pytest.raises(KeyboardInterrupt):
        trained_through(run)
    again = Run.resumed(folder, data, [])
    assert (again.trainer.progress.step, again.trainer.ema.updates) == (3, 3)
    assert_same(trained_through(again), whole["dropout"])


def test_more_epochs_can_be_added_to_a_finished_run(trained, whole, tiny):
    folder, data = trained / "models" / "tiny", trained / "npzData" / "toy"
    assert Run.resumed(folder, data, []).finished
    run = Run.resumed(folder, data, ["epochs=3"])
    assert not run.finished
    records = list(run.train())
    assert [r.epoch for r in records if isinstance(r, EpochDone)] == [3]
    assert read_json(folder / "config.json")["training"]["epochs"] == 3
    assert Run.resumed(folder, data, []).finished


def test_another_batch_size_goes_on_with_the_pictures_that_are_left(toy, tiny):
    folder, data = toy / "models" / "broken", toy / "npzData" / "toy"
    stop_after(Run.new(folder, data, config_of(tiny)), 3)
    run = Run.resumed(folder, data, ["batch_size=4"])
    assert run.trainer.progress.step == 6
    steps = [record for record in run.train() if isinstance(record, StepDone) and record.epoch == 1]
    assert [record.step for record in steps] == [7, 8, 9]
    assert steps[-1].loss == pytest.approx(1.1, abs=0.3)  # still a mean over the epoch


def test_what_cannot_go_on_says_why(trained):
    folder, data = trained / "models" / "tiny", trained / "npzData" / "toy"
    with pytest.raises(ConfigError, match="seed: a run that goes on can't change it"):
        Run.resumed(folder, data, ["seed=1"])
    with pytest.raises(WeightsError, match="another architecture"):
        Run.resumed(folder, data, ["features=8,24"])
    with pytest.raises(ConfigError, match=r"unknown option 'epoch'\. Did you mean 'epochs'"):
        Run.resumed(folder, data, ["epoch=3"])
    rgb = data / "train.rgb.npy"
    rgb.write_bytes(rgb.read_bytes()[:-1] + b"\0")
    with pytest.raises(DataError, match="not the pictures that 'tiny' was trained on"):
        Run.resumed(folder, data, [])


@pytest.mark.parametrize("damage", ["cut", "noise", "foreign"])
def test_a_checkpoint_that_is_none_is_named(trained, damage):
    folder, data = trained / "models" / "tiny", trained / "npzData" / "toy"
    last = folder / "last.pth"
    content = last.read_bytes()
    last.unlink()
    if damage == "foreign":
        torch.save({"epoch": 3, "model_state_dict": {}, "config": {}}, last)
    else:
        last.write_bytes(content[: len(content) // 2] if damage == "cut" else b"no checkpoint")
    with pytest.raises(WeightsError, match=r"last\.pth"):
        Run.resumed(folder, data, [])
