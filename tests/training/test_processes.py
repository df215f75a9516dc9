"""Several processes, or several batches per step, train what one process with one larger batch trains."""

import json
import socket
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from torch.testing import assert_close

from tinct.config import from_dict, merge, to_dict
from tinct.errors import ConfigError, DataError
from tinct.files import read_json
from tinct.training.options import TrainConfig
from tinct.training.run import Run
from tinct.weights import load_checkpoint

WHOLE = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-2}


def settings(tiny: dict, **training) -> dict:
    """Dropout off: its masks are drawn per process."""
    values = merge(tiny, {"training": {**WHOLE, **training}, "model": {"network": {"dropout": 0.0}}})
    return to_dict(from_dict(TrainConfig, values))


def trained_alone(toy: Path, name: str, values: dict) -> Path:
    folder = toy / "models" / name
    for _ in Run.new(folder, toy / "npzData" / "toy", from_dict(TrainConfig, values)).train():
        pass
    return folder


def trained_together(
    toy: Path, name: str, values: dict, processes: int, interrupt: int | None = None
) -> tuple[Path, list]:
    """The folder of a run that so many processes trained, and their exit codes."""
    folder = toy / "models" / name
    asked = {"folder": str(folder), "data": str(toy / "npzData" / "toy"), "settings": values, "processes": processes}
    script = Path(__file__).with_name("trained_together.py")
    command = [sys.executable, script, json.dumps({**asked, "interrupt": interrupt})]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def assert_same_training(one: Path, other: Path) -> None:
    """The same weights, average and losses, but for the order of sums."""
    for part in ("model_state_dict", "ema_state_dict"):
        assert_close(
            load_checkpoint(one / "last.pth")[part], load_checkpoint(other / "last.pth")[part], rtol=0, atol=1e-4
        )
    rows = [read_json(folder / "training_history.json") for folder in (one, other)]
    for first, second in zip(*rows, strict=True):
        for key in ("train_loss", "val_loss"):
            assert first[key] == pytest.approx(second[key], abs=1e-5)


@pytest.mark.parametrize(("batch_size", "accumulate"), [(4, 2), (2, 4)])
def test_accumulated_batches_are_one_larger_batch(toy, tiny, batch_size, accumulate):
    one = trained_alone(toy, "one", settings(tiny))
    several = trained_alone(toy, "several", settings(tiny, batch_size=batch_size, accumulate=accumulate))
    assert_same_training(one, several)
    assert load_checkpoint(several / "last.pth")["facts"]["pictures_seen"] == 64


def test_two_processes_are_one_with_twice_the_batch_and_one_of_them_writes(toy, tiny):
    one = trained_alone(toy, "one", settings(tiny))
    two, codes = trained_together(toy, "two", settings(tiny, batch_size=4), 2)
    assert codes == [0, 0]
    assert_same_training(one, two)
    assert {path.name for path in one.iterdir()} == {path.name for path in two.iterdir()}


def test_processes_stop_together_and_another_number_of_them_goes_on(toy, tiny):
    """Ctrl+C reaches the one that does not write. What is left is done by one process, with twice the batch."""
    one = trained_alone(toy, "one", settings(tiny))
    two, codes = trained_together(toy, "two", settings(tiny, batch_size=4), 2, interrupt=2)
    assert codes == [130, 130]
    stopped = load_checkpoint(two / "last.pth")["progress"]
    assert (stopped["epoch"], stopped["step"]) == (1, 3)  # the step after the request
    run = Run.resumed(two, toy / "npzData" / "toy", ["batch_size=8"])
    assert run.trainer.progress.step == 3
    for _ in run.train():
        pass
    assert_same_training(one, two)


def test_too_few_pictures_for_so_many_batches_are_refused(toy, tiny):
    with pytest.raises(DataError, match="36 training pictures are too few for 64 batches per step"):
        trained_alone(toy, "one", settings(tiny, accumulate=64))
    with pytest.raises(ConfigError, match=r"training\.accumulate = 0: must be at least 1"):
        settings(tiny, accumulate=0)


def command_line(toy: Path) -> list[str]:
    """`tinct train` with the settings of `settings`, a batch of 4 per process, as the run `two`."""
    sets = ["--set", "size=16", "--set", "timesteps=40", "--set", "model.steps=4", "--set", "time_embedding=16"]
    flags = ["--features", "8,16", "--dropout", "0", "--precision", "float32", "--device", "cpu", "--sample-every", "1"]
    rates = ["--epochs", "2", "--batch-size", "4", "--learning-rate", "1e-2"]
    return ["--workspace", str(toy), "train", "--data", "toy", "--name", "two", *sets, *flags, *rates, "--yes"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher", [["accelerate", "launch", "--cpu", "--num_processes", "2"], ["torchrun", "--nproc_per_node", "2"]]
)
def test_the_launchers_start_the_same_command(toy, tiny, launcher):
    one = trained_alone(toy, "one", settings(tiny))
    program = Path(sys.executable).with_name(launcher[0])
    command = [str(program), *launcher[1:], "-m", "tinct", *command_line(toy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The model is two") == 1
    assert_same_training(one, toy / "models" / "two")


@pytest.mark.slow
def test_two_machines_that_meet_over_the_network_alone_train_one_model(toy, tiny):
    """Two nodes, started apart, each with its own launcher and one process, that know nothing but an address of 127.0.0.1."""
    one = trained_alone(toy, "one", settings(tiny))
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    meeting = ["--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1", "--master-port", str(port)]
    program, pipe = str(Path(sys.executable).with_name("torchrun")), subprocess.PIPE
    with ExitStack() as started:
        nodes = [
            started.enter_context(
                subprocess.Popen(
                    [program, "--node-rank", rank, *meeting, "-m", "tinct", *command_line(toy)],
                    stdout=pipe, stderr=pipe, text=True,
                )
            )
            for rank in ("1", "0")
        ]  # fmt: skip
        told = [node.communicate(timeout=600) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], told
    assert [out.count("The model is two") for out, _ in told] == [0, 1]
    assert_same_training(one, toy / "models" / "two")
