"""The stages of one training step, on made pictures."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from tinct.bench.limits import ALL, CONVOLUTION, MEMORY, Limits, best, named
from tinct.bench.made import prepared_set
from tinct.bench.records import Stage, Table
from tinct.config import from_dict, merge
from tinct.data.augment import AUGMENTATIONS
from tinct.training.cost import forward_and_backward
from tinct.training.options import TrainConfig
from tinct.training.progress import StepDone
from tinct.training.run import Run

_FLOAT = 4  # bytes
_MOVED = {"optimizer": 7, "clip": 1, "average": 3}  # floats read and written per parameter, at least: see below


def training(
    title: str, values: Mapping[str, Any], limits: Limits, *, steps: int = 10, compiled: bool = False
) -> Table:
    """Medians of so many steps of a recipe's values, after two; `compiled` as the recipe says, after minutes.

    The optimizer reads weight, gradient and two moments, and writes all but the gradient; clipping reads the gradient; the
    average reads the weight and itself, and writes itself.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = _started(Path(folder), values, steps, compiled)
        rows = _rows(run, steps)
        seconds = {name: median(row.get(name, 0.0) for row in rows) for name in rows[-1]}
        stages = _stages(run, seconds, limits)
    return Table(f"{title}: a step of {run.config.training.batch_size} pictures", stages, seconds["whole"])


def _started(folder: Path, values: Mapping[str, Any], steps: int, compiled: bool) -> Run:
    own = {"epochs": 1000, "patience": 0, "device": "cpu", **({} if compiled else {"compile": False})}
    config = from_dict(TrainConfig, merge(values, {"training": own}))
    prepared_set(folder / "made", int(1.2 * config.training.batch_size * (steps + 4)))
    return Run.new(folder / "run", folder / "made", config)


def _rows(run: Run, steps: int) -> list[dict[str, float]]:
    """Seconds of each step's parts by the loop's clock, and of the `whole` step."""
    clock, rows, before = run.trainer.clock, list[dict[str, float]](), dict[str, float]()
    began = time.perf_counter()
    for record in run.trainer.run():
        if isinstance(record, StepDone):
            now = time.perf_counter()
            parts = {name: seconds - before.get(name, 0.0) for name, seconds in clock.seconds.items()}
            rows.append({**parts, "whole": now - began})
            before, began = dict(clock.seconds), now
        if len(rows) == steps + 2:
            break
    return rows[2:]


def _stages(run: Run, seconds: Mapping[str, float], limits: Limits) -> list[Stage]:
    """Each stage beside the limit that binds it."""
    trainer = run.trainer
    forward, backward = forward_and_backward(trainer)[0]
    numbers = "bfloat16" if trainer.accelerator.mixed_precision == "bf16" else "float32"
    convolution, memory = limits[named(CONVOLUTION, numbers, ALL)], limits[named(MEMORY, ALL)]
    count = trainer.feed.pictures_per_step
    bytes_ = _FLOAT * sum(parameter.numel() for parameter in trainer.model.parameters())
    batch = next(trainer.feed.epoch(1))[0]
    augmenting = best(lambda: AUGMENTATIONS[trainer.feed.augment](batch.rgb, batch.generators))
    load = Stage.bound("load", max(0.0, seconds["load"] - augmenting), 2 * batch.rgb.nbytes, memory)
    known = [
        load,
        Stage.bound("augment", augmenting, 2 * batch.rgb.nbytes, memory),
        Stage.bound("forward", seconds["forward"], count * forward, convolution),
        Stage.bound("backward", seconds["backward"], count * backward, convolution),
        *(
            Stage.bound(name, seconds[name], floats * bytes_, memory)
            for name, floats in _MOVED.items()
            if name in seconds
        ),
    ]
    other = seconds["whole"] - sum(stage.seconds for stage in known)
    return [*known, Stage("other", max(0.0, other))]
