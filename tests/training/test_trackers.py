"""Trackers: what TensorBoard and Weights & Biases are told, that runs go on in them, and what is said when they can't work."""

import importlib.util
import json
import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tinct.config import from_dict, merge
from tinct.errors import ConfigError, UnknownName
from tinct.files import read_json
from tinct.training import trackers
from tinct.training.options import TrainConfig
from tinct.training.progress import StepDone
from tinct.training.run import Run

with_tensorboard = pytest.mark.skipif(
    not importlib.util.find_spec("tensorboard"), reason="tensorboard is not installed"
)
with_wandb = pytest.mark.skipif(not importlib.util.find_spec("wandb"), reason="wandb is not installed")
WANDB_SETTINGS = ("WANDB_MODE", "WANDB_API_KEY", "WANDB_ERROR_REPORTING", "WANDB_CACHE_DIR", "WANDB_DIR")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home and an environment without any account."""
    for name in WANDB_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def made(toy: Path, tiny: dict, track: str, **training) -> Run:
    config = from_dict(TrainConfig, merge(tiny, {"training": {"track": track, **training}}))
    return Run.new(toy / "models" / "run", toy / "npzData" / "toy", config)


def resumed(toy: Path, *changes: str, checkpoint: str | None = None) -> Run:
    folder = toy / "models" / "run"
    return Run.resumed(folder, toy / "npzData" / "toy", changes, checkpoint and folder / checkpoint)


def train(run: Run, epochs: int | None = None) -> Run:
    """Trains; with `epochs`, breaks off in the middle of the one after so many."""
    for record in run.train():
        if isinstance(record, StepDone) and record.epoch - 1 == epochs and record.step == 2:
            break
    return run


def curves(toy: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard shows of the run: by name, values by epoch."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shown = EventAccumulator(str(toy / "models" / "run" / "tensorboard")).Reload()
    events = {name: shown.Scalars(name) for name in shown.Tags()["scalars"]}
    for name, values in events.items():
        assert len({event.step for event in values}) == len(values), f"{name}: an epoch is shown twice"
    return {name: {event.step: event.value for event in values} for name, values in events.items()}


def assert_shown(toy: Path, run: Run) -> None:
    """TensorBoard shows every number of the history, and no other."""
    rows, shown = run.trainer.progress.history, curves(toy)
    assert set(shown) == {
        "epoch", "stage", "train_loss", "val_loss", "train_terms/mse", "val_terms/mse", "learning_rate", "seconds",
        "pictures_per_second", "early_stop_counter",
    }  # fmt: skip
    for name, values in shown.items():
        outer, _, inner = name.partition("/")
        wanted = {row["epoch"]: row[outer][inner] if inner else row[outer] for row in rows}
        assert values == pytest.approx(wanted, rel=1e-6)


@with_tensorboard
def test_tensorboard_shows_the_history_and_the_configuration(toy, tiny):
    run = train(made(toy, tiny, "tensorboard"))
    assert_shown(toy, run)
    settings = hyperparameters(toy)
    assert settings["training.learning_rate"] == 2e-4
    assert settings["model.network.features"] == "[8, 16]"
    assert (settings["family"], settings["data"]) == ("unetddpm", "toy")
    assert not any(path.is_dir() for path in (toy / "models" / "run" / "tensorboard").iterdir())


def hyperparameters(toy: Path) -> dict:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    shown = EventAccumulator(str(toy / "models" / "run" / "tensorboard")).Reload()
    content = shown.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    values = HParamsPluginData.FromString(content).session_start_info.hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in values.items()}


@with_tensorboard
@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_a_run_that_goes_on_goes_on_in_tensorboard(toy, tiny, epochs):
    train(made(toy, tiny, "tensorboard", epochs=3), epochs)
    assert_shown(toy, train(resumed(toy)))


@with_tensorboard
def test_a_run_that_takes_another_way_takes_its_curves_back(toy, tiny):
    first = train(made(toy, tiny, "tensorboard", epochs=3)).trainer.progress.history
    run = train(resumed(toy, "learning_rate=0.02", checkpoint="checkpoint_epoch_1.pth"))
    assert run.trainer.progress.history[0] == first[0]
    assert run.trainer.progress.history[1]["train_loss"] != first[1]["train_loss"]
    assert_shown(toy, run)


@with_tensorboard
def test_an_epoch_that_was_told_and_is_trained_again_is_told_once(toy, tiny):
    """As after a kill between the tracker and the checkpoint."""
    run = train(made(toy, tiny, "tensorboard", epochs=3), 2)
    (toy / "models" / "run" / "last.pth").unlink()
    (toy / "models" / "run" / "checkpoint_epoch_2.pth").unlink()
    told = curves(toy)["seconds"]
    run = resumed(toy)
    assert run.trainer.progress.epoch == 2
    train(run)
    shown = curves(toy)
    assert (shown["seconds"][1], shown["seconds"][2]) == (told[1], told[2])
    assert shown["train_loss"] == pytest.approx({r["epoch"]: r["train_loss"] for r in run.trainer.progress.history})


@with_tensorboard
def test_a_tracker_that_comes_later_is_told_everything(toy, tiny):
    train(made(toy, tiny, "none"), 1)
    assert not (toy / "models" / "run" / "tracking.json").exists()
    assert not (toy / "models" / "run" / "tensorboard").exists()
    assert_shown(toy, train(resumed(toy, "track=tensorboard")))


@with_tensorboard
def test_a_damaged_memory_of_what_was_told_counts_as_none(toy, tiny):
    train(made(toy, tiny, "tensorboard"), 1)
    (toy / "models" / "run" / "tracking.json").write_text("{")
    assert_shown(toy, train(resumed(toy)))


def records(folder: Path) -> list:
    """What an offline run of Weights & Biases was told: its log is in blocks of 32 kB, like LevelDB's."""
    from wandb.proto.wandb_internal_pb2 import Record

    ((path),) = folder.glob("run-*.wandb")
    data, place, found, part = path.read_bytes(), 7, [], b""
    while place < len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack("<HB", data[place + 4 : place + 7])
        part += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last of several parts
            found.append(Record.FromString(part))
            part = b""
    return found


def finished(folder: Path) -> list:
    """Every record of an offline run, whose file is complete somewhat later than the run ends."""
    end = time.monotonic() + 20
    while not (found := records(folder)) or found[-1].WhichOneof("record_type") != "exit":
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def told(found: list) -> list[dict]:
    """The rows among the records of an offline run."""
    rows = [record.history.item for record in found if record.WhichOneof("record_type") == "history"]
    return [{"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in row} for row in rows]


def offline_runs(toy: Path) -> list[Path]:
    """The folders of the runs in the order in which they began: their names have seconds alone."""
    return sorted((toy / "models" / "run" / "wandb").glob("offline-run-*"), key=_began)


def _began(folder: Path) -> int:
    (run,) = (record.run for record in finished(folder) if record.WhichOneof("record_type") == "run")
    return run.start_time.ToNanoseconds()


@with_wandb
def test_wandb_works_offline_and_goes_on_as_the_same_run(toy, tiny, home):
    train(made(toy, tiny, "wandb", epochs=3), 1)
    run = train(resumed(toy))
    first, second = offline_runs(toy)
    name = read_json(toy / "models" / "run" / "tracking.json")["wandb"]["run"]
    assert f"-{name}" in first.name
    assert f"-{name}" in second.name  # of the same second, it ends in -1
    rows = told(finished(first)) + told(finished(second))
    assert [row["_step"] for row in rows] == [1, 2, 3]
    for row, wanted in zip(rows, run.trainer.progress.history, strict=True):
        assert row.items() >= trackers.flat(wanted, "/").items()
    (settings,) = (r.config.update for r in finished(second) if r.WhichOneof("record_type") == "config")
    values = {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in settings}
    assert values["training.learning_rate"] == 2e-4
    assert values["name"] == "run"
    assert not [path for path in home.rglob("*") if "wandb" in path.name]  # all is in the run's folder


@with_wandb
def test_wandb_gets_another_run_for_another_way(toy, tiny, home):
    train(made(toy, tiny, "wandb"))
    run = train(resumed(toy, "learning_rate=0.02", checkpoint="checkpoint_epoch_1.pth"))
    first, *_, last = offline_runs(toy)
    assert first.name.rpartition("-")[2] != last.name.rpartition("-")[2]
    losses = [row["train_loss"] for row in run.trainer.progress.history]
    assert [row["train_loss"] for row in told(finished(last))] == losses
    assert told(finished(first))[1]["train_loss"] != losses[1]


KILLED = """
import json, os, sys, time
from pathlib import Path
from tinct.config import from_dict
from tinct.training.progress import EpochDone, StepDone
from tinct.training.options import TrainConfig
from tinct.training.run import Run

toy = Path(sys.argv[1])
run = Run.new(toy / "models" / "run", toy / "npzData" / "toy", from_dict(TrainConfig, json.loads(sys.argv[2])))
for record in run.train():
    if isinstance(record, StepDone) and record.epoch == 3:
        time.sleep(2)  # an epoch of training
        os._exit(9)
"""


@with_wandb
def test_wandb_has_every_epoch_when_the_run_is_killed_and_calls_nobody(toy, tiny, home):
    """A server listens where Weights & Biases would call; nobody comes."""
    values = merge(tiny, {"training": {"track": "wandb", "epochs": 3}})
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        environment = {**os.environ, "WANDB_BASE_URL": address, "HTTP_PROXY": address, "HTTPS_PROXY": address}
        command = [sys.executable, "-W", "error", "-c", KILLED, str(toy), json.dumps(values)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        with pytest.raises(TimeoutError):
            server.accept()
    assert (done.returncode, done.stdout, done.stderr) == (9, "", "")
    (folder,) = (toy / "models" / "run" / "wandb").glob("offline-run-*")
    assert [row["epoch"] for row in told(records(folder))] == [1, 2]


@with_wandb
def test_wandb_online_without_an_account_is_refused_before_anything_is_written(toy, tiny, home):
    values = json.dumps(merge(tiny, {"training": {"track": "wandb"}}))
    environment = {**os.environ, "WANDB_MODE": "online", "WANDB_BASE_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-c", KILLED, str(toy), values]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 1
    *_, error = done.stderr.strip().splitlines()
    assert error.startswith("tinct.errors.ConfigError: track wandb: ")
    assert "Without WANDB_MODE=online it needs no account" in error
    assert not (toy / "models").exists()


@with_wandb
def test_a_wandb_mode_that_does_not_exist_is_refused(toy, tiny, home, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "nonsense")
    with pytest.raises(ConfigError, match="WANDB_MODE is 'nonsense'; it can be online, offline"):
        made(toy, tiny, "wandb")
    assert not (toy / "models").exists()


@pytest.mark.parametrize("name", trackers.TRACKERS)
def test_a_missing_package_is_named_with_its_cure(toy, tiny, name, monkeypatch, home):
    monkeypatch.setattr(sys, "path", [place for place in sys.path if "site-packages" not in place])
    monkeypatch.setitem(sys.modules, name, None)
    importlib.invalidate_caches()
    with pytest.raises(ConfigError, match=rf"track {name}: .*not installed.*pip install 'tinct\[track\]'"):
        made(toy, tiny, name)
    assert not (toy / "models").exists()


def test_an_unknown_tracker_is_refused_with_the_nearest(tiny):
    with pytest.raises(UnknownName, match="Did you mean 'tensorboard'"):
        from_dict(TrainConfig, merge(tiny, {"training": {"track": "tensorbord"}}))


def test_tables_are_flattened():
    values = {"a": {"b": 1, "c": {"d": [1, 2]}}, "e": None, "f": True, "g": "text", "h": 0.5}
    assert trackers.flat(values) == {"a.b": 1, "a.c.d": "[1, 2]", "f": True, "g": "text", "h": 0.5}


@pytest.mark.slow
@with_tensorboard
def test_only_the_main_process_writes(toy, tiny, home):
    """Two processes that train together leave one set of events."""
    values = json.dumps(merge(tiny, {"training": {"track": "tensorboard", "batch_size": 4}}))
    script = KILLED.replace("os._exit(9)", "break")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common |= {"ACCELERATE_USE_CPU": "true", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, "-c", script, str(toy), values]
    both = [
        subprocess.Popen(command, env={**common, "RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE, text=True)
        for rank in "01"
    ]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    rows = read_json(toy / "models" / "run" / "training_history.json")
    assert curves(toy)["train_loss"] == pytest.approx({row["epoch"]: row["train_loss"] for row in rows})
    events = list((toy / "models" / "run" / "tensorboard").iterdir())
    assert len({path.name.split(".")[-2] for path in events}) == 1  # the process that wrote them
