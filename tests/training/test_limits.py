"""When the disk, the memory or the loss gives way."""

import resource
import subprocess
import sys
import threading

import pytest
import torch
from torch.testing import assert_close

from tinct.config import from_dict, merge
from tinct.errors import OutputError, TinctError
from tinct.training.checkpoints import Behind, Snapshots
from tinct.training.divergence import FACTOR, SETTLED, STEPS, Diverged, Watch
from tinct.training.engine import memory_advice
from tinct.training.options import TrainConfig, TrainingOptions
from tinct.training.progress import EpochDone
from tinct.training.run import Run
from tinct.weights import load_checkpoint


def started(toy, tiny, **training) -> Run:
    config = from_dict(TrainConfig, merge(tiny, {"training": training}))
    return Run.new(toy / "models" / "run", toy / "npzData" / "toy", config)


def test_a_full_disk_stops_the_run_and_leaves_the_checkpoint_before(toy, tiny):
    """No file may grow beyond half of a checkpoint from the second epoch on, which the writer meets as a disk that is full."""
    run = started(toy, tiny)
    records = run.train()
    while not isinstance(next(records), EpochDone):
        pass
    next(record for record in records if getattr(record, "path", run.folder).suffix == ".pth")
    run._behind.wait()
    good = load_checkpoint(run.folder / "last.pth")["model_state_dict"]
    size = (run.folder / "last.pth").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, before[1]))
    try:
        with pytest.raises(OutputError, match=r"checkpoint_epoch_2\.pth: the checkpoint can't be written .* are whole"):
            list(records)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (run.folder / "checkpoint_epoch_2.pth").exists()
    assert not list(run.folder.glob(".*"))
    again = Run.resumed(run.folder, run.data, [])
    assert_close(again.model.state_dict(), good, rtol=0, atol=0)
    list(again.train())
    assert again.finished


MEMORY = """
import resource, sys
from pathlib import Path
from tinct.config import from_dict
from tinct.errors import TinctError
from tinct.training.options import TrainConfig
from tinct.training.run import Run
values = {"model": {"size": 16, "timesteps": 40, "steps": 2}}
values["training"] = {"batch_size": 32, "precision": "float32", "device": "cpu"}
run = Run.new(Path(sys.argv[1]), Path(sys.argv[2]), from_dict(TrainConfig, values))
used = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + 100_000_000, -1))  # the optimizer's state alone needs more
try:
    list(run.train())
except TinctError as error:
    print(error)
"""


def test_a_lack_of_memory_says_what_to_lower(toy):
    """The network of 31M parameters, with 100 MB left for gradients and the optimizer."""
    command = [sys.executable, "-c", MEMORY, str(toy / "models" / "run"), str(toy / "npzData" / "toy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "out of memory in training. --batch-size 16 --accumulate 2 needs about half" in done.stdout, done.stderr
    assert "step of 32 pictures" in done.stdout


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory"), torch.OutOfMemoryError()]
)
def test_what_a_lack_of_memory_looks_like(error):
    with (
        pytest.raises(TinctError, match="--batch-size 16 --accumulate 4"),
        memory_advice(TrainingOptions(accumulate=2)),
    ):
        raise error
    with (
        pytest.raises(TinctError, match="The batch is one picture already"),
        memory_advice(TrainingOptions(batch_size=1)),
    ):
        raise error
    with pytest.raises(RuntimeError, match="shapes"), memory_advice(TrainingOptions()):
        raise RuntimeError("shapes don't fit")


def test_a_loss_that_explodes_is_noticed_and_a_single_bad_batch_is_not():
    watch = Watch(2e-4)
    for loss in [500.0, *[1.0] * 499]:
        watch.step(loss, "epoch 1")  # the first one is not usual for long
    for _ in range(3):
        for _ in range(STEPS - 1):
            watch.step(2 * FACTOR, "epoch 1")
        watch.step(1.0, "epoch 1")
    for _ in range(STEPS - 1):
        watch.step(2 * FACTOR, "epoch 1")
    advice = r"--resume --learning-rate 7e-05 \(was 0\.0002\)"
    with pytest.raises(Diverged, match=r"the loss exploded in epoch 1: 200, usual was 1\.?\d*\. .*" + advice):
        watch.step(2 * FACTOR, "epoch 1")


def test_the_beginning_may_be_wild():
    watch = Watch(2e-4)
    for loss in (1.0, *[2 * FACTOR] * (SETTLED - 1)):
        watch.step(loss, "epoch 1")
    with pytest.raises(Diverged, match="not a number"):
        watch.step(float("nan"), "epoch 1")


def test_a_training_that_explodes_stops(toy, tiny):
    """Its weights are thrown far off once its loss is settled."""
    run = started(toy, tiny, batch_size=1, epochs=1, clip=0.0, learning_rate=1e-3)
    records = run.trainer.run()
    for _ in range(2 * SETTLED):
        next(records)
    with torch.no_grad():
        run.model.network.out.bias.fill_(1e4)
    with pytest.raises(Diverged, match="the loss exploded in epoch 1, step"):
        list(records)


def test_a_gradient_that_is_no_number_moves_no_weight(toy, tiny):
    """The loss may still be one: then the step is not taken."""
    run = started(toy, tiny)
    weight = run.model.network.out.weight
    weight.register_hook(lambda gradient: gradient * float("inf"))
    before = weight.detach().clone()
    with pytest.raises(Diverged, match="the gradient is not a number in epoch 1, step 1"):
        list(run.train())
    assert torch.equal(weight, before)


def test_a_snapshot_is_apart_from_what_goes_on_and_keeps_what_is_shared():
    weight = torch.arange(12.0).view(3, 4).t()
    state = {"a": {"w": weight}, "b": [weight, (torch.zeros(0), 7)], "view": weight[1:]}
    snapshots = Snapshots()
    copy = snapshots.take(state)
    weight.add_(1)
    assert torch.equal(copy["a"]["w"], weight - 1)
    assert copy["a"]["w"] is copy["b"][0]
    assert copy["a"]["w"].stride() == weight.stride()
    assert torch.equal(copy["view"], weight[1:] - 1)
    assert copy["b"][1][1] == 7
    place = copy["a"]["w"].data_ptr()
    weight.mul_(3)
    again = snapshots.take({**state, "b": [weight + 1, ()], "new": torch.ones(2)})
    assert torch.equal(again["a"]["w"], weight)
    assert again["a"]["w"].data_ptr() == place
    assert torch.equal(again["b"][0], weight + 1)  # no longer shared: it has memory of its own
    assert torch.equal(again["view"], weight[1:])
    assert torch.equal(again["new"], torch.ones(2))


def test_jobs_behind_are_done_in_order_and_their_errors_come_back():
    behind, done, gate = Behind(), [], threading.Event()
    behind.submit(lambda: done.append(gate.wait()))
    assert not done
    gate.set()
    behind.submit(lambda: done.append(2))
    behind.wait()
    assert done == [True, 2]
    behind.submit(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        behind.wait()
    behind.check()  # said once
