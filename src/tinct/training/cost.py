"""What a training costs: operations, time, memory, disk; energy and money at rates that the user states."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tinct.errors import ConfigError
from tinct.families import Batch, Objective
from tinct.training import budget
from tinct.training.engine import to_device
from tinct.training.loop import Trainer
from tinct.training.options import CostOptions, TrainConfig

REPORT = "cost_analysis_report.json"
COUNTER = "torch.utils.flop_counter: matrix products and convolutions, forward and backward of every player"
COUNTED_PICTURES = 2  # one would do, but for layers that look at a whole batch


def check(rates: CostOptions) -> None:
    """ConfigError for a price that nothing can be reckoned from."""
    if rates.price_per_kwh and not rates.watts:
        raise ConfigError("cost.price_per_kwh: to reckon with it, state the power that the machine draws: --watts")


def operations_per_picture(trainer: Trainer) -> tuple[float, ...]:
    """Floating-point operations of training on one picture, by torch's counter: one number per stage.

    Counted on copies of the players, which are not compiled: the training stays exactly as it is.
    """
    return tuple(sum(both) for both in forward_and_backward(trainer))


def forward_and_backward(trainer: Trainer) -> list[tuple[float, float]]:
    """The same, those of the forward and of the backward pass apart."""
    players = copy.deepcopy(trainer.players)
    stages = range(1, len(trainer.options.epochs) + 1)
    with fork_rng(trainer):
        return [_operations(trainer, players, stage) for stage in stages]


def work_beside(operations: Sequence[float]) -> Sequence[float]:
    """The work of each stage beside that of the others: the same for all where a network does nothing that is counted."""
    return operations if all(operations) else [1.0 for _ in operations]


def fork_rng(trainer: Trainer) -> AbstractContextManager[None]:
    """A block after which the global random states are as before it."""
    device = trainer.accelerator.device
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def _operations(trainer: Trainer, players: Sequence[Objective], stage: int) -> tuple[float, float]:
    """Those of one stage. Attention is taken apart, as the counter does not know it whole on every device."""
    batch = to_device(_some(next(trainer.feed.epoch(1))[0]), trainer.accelerator.device)
    forward = 0.0
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        for player in players:
            player.stage = stage
            if player.from_stage <= stage:
                before = counter.get_total_flops()
                with trainer.accelerator.autocast():
                    losses = player.train()(batch)
                forward += counter.get_total_flops() - before
                torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    count = len(batch.rgb)
    return forward / count, (counter.get_total_flops() - forward) / count


def _some(batch: Batch) -> Batch:
    count = COUNTED_PICTURES
    return Batch(batch.rgb[:count], batch.labels[:count], batch.generators[:count])  # what is shown costs the same


def epochs_left(trainer: Trainer) -> list[int]:
    """Whole epochs that each stage still has, the one under way among them; those that patience may save count too."""
    progress = trainer.progress
    left = [0 if number < progress.stage else epochs for number, epochs in enumerate(trainer.options.epochs, 1)]
    begun = progress.epoch - progress.stage_began
    left[progress.stage - 1] = 0 if trainer.stage_over else left[progress.stage - 1] - begun
    bound = (progress.step + _budgeted_steps(trainer)) / len(trainer.feed)
    return [min(count, math.ceil(max(1, bound))) if count > bound else count for count in left]


def steps_left(trainer: Trainer) -> int:
    """Steps that the training still has, as far as it is known."""
    in_epochs = max(0, sum(epochs_left(trainer)) * len(trainer.feed) - trainer.progress.step)
    return int(min(in_epochs, _budgeted_steps(trainer)))


def _budgeted_steps(trainer: Trainer) -> float:
    return budget.steps_left(trainer.options, trainer.progress, trainer.feed.pictures_per_step)


@dataclass(frozen=True)
class Cost:
    """What the training of `trainer` costs. Make one with `of` when the training begins or goes on."""

    trainer: Trainer
    config: TrainConfig
    operations: tuple[float, ...]  # per picture, by stage
    rows_before: int  # of the history, and seconds of the epoch under way, before this process took over
    seconds_before: float

    @classmethod
    def of(cls, trainer: Trainer, config: TrainConfig) -> Cost:
        """Counts the operations."""
        progress = trainer.progress
        return cls(trainer, config, operations_per_picture(trainer), len(progress.history), progress.seconds)

    def report(self, seconds: float) -> dict[str, Any]:
        """The costs after an epoch, `seconds` after the very beginning. What can't be known or was not stated is None.

        Time that is left is reckoned from what was spent per operation.
        """
        trainer, history = self.trainer, self.trainer.progress.history
        row = history[-1]
        operations = self.operations[row.get("stage", 1) - 1]
        total = seconds + self._seconds_left(seconds)
        return {
            "family": self.config.family,
            "device": str(trainer.accelerator.device),
            "processes": trainer.accelerator.num_processes,
            "parameters": _size(trainer.model),
            "operations_per_picture": operations,
            "operations_per_step": operations * trainer.feed.pictures_per_step,
            "operations_counted_by": COUNTER,
            "operations_per_picture_by_stage": list(self.operations),
            "pictures_per_step": trainer.feed.pictures_per_step,
            "pictures_per_second": row["pictures_per_second"],
            "gflop_per_second": round(operations * row["pictures_per_second"] / 1e9, 3),
            "epochs_done": len(history),
            "epochs_left": sum(epochs_left(trainer)),
            "seconds_per_epoch": round(seconds / len(history), 2),
            "seconds_spent": round(seconds, 2),
            "seconds_left": round(total - seconds, 2),
            "seconds_total": round(total, 2),
            "share_of_time": self._shares(),
            "peak_memory_bytes": peak_memory(),
            "peak_device_memory_bytes": _peak_device_memory(trainer.accelerator.device),
            "checkpoint_bytes": sum(storages(trainer.state()).values()),
            "rates": {name: value or None for name, value in asdict(self.config.cost).items()},
            "spent": charged(self.config.cost, seconds),
            "total": charged(self.config.cost, total),
        }

    def _seconds_left(self, seconds: float) -> float:
        if budget.has_budget(self.config.training):
            steps = steps_left(self.trainer)
            return seconds * steps / self.trainer.progress.steps_done
        work = work_beside(self.operations)
        done = sum(work[row.get("stage", 1) - 1] for row in self.trainer.progress.history)
        left = sum(count * each for count, each in zip(epochs_left(self.trainer), work, strict=True))
        return float(seconds * left / done)

    def _shares(self) -> dict[str, float] | None:
        """Shares of the steps' time since this process took over. A device that works behind the program's back has none."""
        rows = self.trainer.progress.history[self.rows_before :]
        parts = dict(self.trainer.clock.seconds)
        if not rows or self.trainer.accelerator.device.type != "cpu":
            return None
        other = sum(row["seconds"] for row in rows) - self.seconds_before - sum(parts.values())
        parts["other"] = max(0.0, other)  # the history's seconds are rounded
        return {name: round(seconds / sum(parts.values()), 4) for name, seconds in parts.items()}


def charged(rates: CostOptions, seconds: float) -> dict[str, Any]:
    """Energy and money of so many seconds at the stated rates; None where none is stated."""
    hours = seconds / 3600
    energy = rates.watts * hours / 1000 if rates.watts else None
    prices = [rates.price_per_hour * hours, rates.price_per_kwh * (energy or 0.0)]
    stated = rates.price_per_hour or rates.price_per_kwh
    return {
        "hours": round(hours, 4),
        "energy_kwh": None if energy is None else round(energy, 6),
        "money": round(sum(prices), 6) if stated else None,
        "currency": rates.currency if stated else None,
    }


def peak_memory() -> int | None:
    """The most memory this process had at once, in bytes; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.is_file():  # what getrusage says there may be of the process that started this one
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _peak_device_memory(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def _size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def storages(value: Any) -> dict[int, int]:
    """Bytes by place in memory of all tensors in nested dicts and lists: what is shared counts once."""
    if isinstance(value, torch.Tensor):
        storage = value.untyped_storage()
        return {storage.data_ptr(): storage.nbytes()}
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return {place: size for item in inner for place, size in storages(item).items()}
