"""Where the time of a training step goes, what the classic network needs of memory, and how long a checkpoint halts the loop.

    python -m benchmarks.training_loop [--steps 30] [--warmup 3] [--batch 32] [--data FOLDER] [--eager] [--only NAME]

An epoch of `photo` on made pictures, the second of its run: wall time beside the sum of what can be told apart in it.
`photo` and the classic network train as their recipes say, on 64x64 pictures: those of a prepared set, else made ones. The
parts are those of the loop's own clock, the wall time goes from one step to the next. Each measurement has a process of its
own. The exit code is 1 when a limit is missed:

- everything but forward, backward and optimizer takes less than 3% of a step
- the feed alone delivers more pictures per second than the steps take
- training the classic network at batch 32 needs less than 6 GB
- a checkpoint of 50M parameters halts the loop for less than 0.5 s; it is written behind it
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinct import recipes
from tinct.bench.made import prepared_set
from tinct.config import from_dict, merge
from tinct.training.cost import peak_memory
from tinct.training.feed import Feed
from tinct.training.folder import LAST
from tinct.training.options import TrainConfig
from tinct.training.progress import StepDone
from tinct.training.run import Run, Saved

WORK = ("forward", "backward", "optimizer")
OVERHEAD = ("load", "clip", "average", "other")
OVERHEAD_LIMIT, MEMORY_LIMIT, HALT_LIMIT = 0.03, 6e9, 0.5
PARTS_OF_AN_EPOCH = {
    "StepDone": "steps",
    "EpochDone": "validation",
    "Saved": "sheet, curve, report, copy of the checkpoint",
}
LARGE = {"features": [64, 128, 256, 512], "bottleneck": 1664}  # 50M parameters

Figures = dict[str, Any]


def started(options: argparse.Namespace, folder: Path, values: dict[str, Any]) -> Run:
    """A run with these settings that stops for nothing."""
    training = {"batch_size": options.batch, "epochs": 1000, "patience": 0, "validation_limit": options.batch}
    training |= {"compile": False} if options.eager else {}
    config = from_dict(TrainConfig, merge(values, {"training": training}))
    return Run.new(folder / "run", options.data, config)


def loop(recipe: str, options: argparse.Namespace, folder: Path) -> Figures:
    """Seconds per step, its parts' shares, peak memory, and what the feed alone delivers."""
    run = started(options, folder, recipes.load(recipe))
    clock, wall, done, before = run.trainer.clock, 0.0, 0, dict[str, float]()
    began = time.perf_counter()
    for record in run.trainer.run():
        if isinstance(record, StepDone):
            done += 1
            wall += time.perf_counter() - began if done > options.warmup else 0.0
        if done == options.warmup:
            before = dict(clock.seconds)
        if done == options.warmup + options.steps:
            break
        began = time.perf_counter()
    parts = {name: (seconds - before.get(name, 0.0)) / wall for name, seconds in clock.seconds.items()}
    parts["other"] = 1 - sum(parts.values())
    return {
        "step": wall / options.steps,
        "parts": parts,
        "memory": peak_memory() or 0,
        "consumed": options.steps * run.trainer.feed.pictures_per_step / wall,
        "delivered": delivered(run.trainer.feed, options.steps),
    }


def delivered(feed: Feed, steps: int) -> float:
    """Pictures per second of the feed when nobody else works."""
    began, count = time.perf_counter(), 0
    for batches in feed.epoch(2):
        count += sum(len(batch.rgb) for batch in batches)
        if count >= steps * feed.pictures_per_step:
            break
    return count / (time.perf_counter() - began)


def checkpoint(options: argparse.Namespace, folder: Path) -> Figures:
    """Seconds that saving holds up the caller, and until the file is there: the worse of two, after one step."""
    options.batch, options.eager = 2, True
    run = started(options, folder, {"model": {"network": LARGE}})
    next(run.trainer.run())  # the optimizer's memory exists from here on
    path, halts, written = run.folder / LAST, [], []
    for _ in range(2):
        path.unlink(missing_ok=True)
        began = time.perf_counter()
        run.save(LAST)
        halts.append(time.perf_counter() - began)
        while not path.exists():
            time.sleep(0.002)
        written.append(time.perf_counter() - began)
    parameters = sum(parameter.numel() for parameter in run.model.parameters())
    return {"halt": max(halts), "written": max(written), "parameters": parameters, "bytes": path.stat().st_size}


def epoch(options: argparse.Namespace, folder: Path) -> Figures:
    """Seconds of a run's second epoch, from outside, and of its parts: the loop's own, and those between its records."""
    training = {"epochs": 2, "patience": 0, "checkpoint_minutes": 60.0, **({"compile": False} if options.eager else {})}
    config = from_dict(TrainConfig, merge(recipes.load("photo"), {"training": training}))
    prepared_set(folder / "made", int(1.06 * config.training.batch_size * 2 * options.steps))
    run = Run.new(folder / "run", folder / "made", config)
    clock, parts, before = run.trainer.clock, dict[str, float](), dict[str, float]()
    began = last = time.perf_counter()
    for record in run.train():
        now = time.perf_counter()
        if run.trainer.progress.history and not before:  # the first epoch is over: it compiled
            before = dict(clock.seconds)
        name = PARTS_OF_AN_EPOCH.get(type(record).__name__)
        if name and before:
            parts[name] = parts.get(name, 0.0) + now - last
        if record == Saved(run.folder / "checkpoint_epoch_1.pth"):
            began, parts = now, {}
        last = now
    return {
        "wall": last - began,
        "steps": len(run.trainer.feed),
        "parts": parts,
        "loop": {name: seconds - before[name] for name, seconds in clock.seconds.items()},
    }


MEASURES: dict[str, Callable[[argparse.Namespace, Path], Figures]] = {
    "epoch": epoch,
    "photo": lambda options, folder: loop("photo", options, folder),
    "classic": lambda options, folder: loop("classic", options, folder),
    "checkpoint": checkpoint,
}


def apart(name: str, options: argparse.Namespace) -> Figures:
    """The figures of one measurement, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training_loop", "--measure", name, "--data", str(options.data)]
    command += ["--steps", str(options.steps), "--warmup", str(options.warmup), "--batch", str(options.batch)]
    done = subprocess.run([*command, *["--eager"] * options.eager], stdout=subprocess.PIPE, text=True, check=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def judged(text: str, good: bool) -> bool:
    """Prints a figure with its limit."""
    print(f"  {text}{'' if good else '   MISSED'}", flush=True)
    return good


def tell_loop(name: str, figures: Figures, options: argparse.Namespace) -> bool:
    """Prints a training's figures; whether it keeps the limits."""
    step, parts = figures["step"], figures["parts"]
    overhead = sum(parts.get(part, 0.0) for part in OVERHEAD)
    print(f"{name}: {1000 * step:.1f} ms per step of {options.batch}, {options.steps} steps")
    for part in (*WORK, *OVERHEAD):
        share = parts.get(part, 0.0)
        print(f"  {part:<10} {1000 * share * step:9.2f} ms  {100 * share:6.2f}%")
    good = [
        judged(f"overhead   {100 * overhead:.2f}% of a step (limit 3%)", overhead < OVERHEAD_LIMIT),
        judged(
            f"the feed alone delivers {figures['delivered']:.0f} pictures/s, the steps take {figures['consumed']:.0f}",
            figures["delivered"] > figures["consumed"],
        ),
    ]
    memory = f"peak memory {figures['memory'] / 1e9:.2f} GB"
    if name == "classic":
        good.append(judged(f"{memory} (limit 6 GB at batch 32)", figures["memory"] < MEMORY_LIMIT))
    else:
        print(f"  {memory}")
    return all(good)


def tell_checkpoint(figures: Figures) -> bool:
    """Prints what a checkpoint costs; whether it keeps the limit."""
    print(f"checkpoint of {figures['parameters'] / 1e6:.1f}M parameters, {figures['bytes'] / 1e6:.0f} MB")
    good = judged(f"halts the loop for {figures['halt']:.3f} s (limit 0.5 s)", figures["halt"] < HALT_LIMIT)
    print(f"  is on the disk after {figures['written']:.2f} s")
    return good


def tell_epoch(figures: Figures) -> bool:
    """Prints the parts of an epoch; they are all of it."""
    wall, loop_parts = figures["wall"], figures["loop"]
    print(f"an epoch of photo: {wall:.2f} s, {figures['steps']} steps, with validation and files")
    steps = figures["parts"].pop("steps")
    parts = {**loop_parts, "other in the loop": steps - sum(loop_parts.values()), **figures["parts"]}
    for name, seconds in parts.items():
        print(f"  {name:<45} {seconds:8.2f} s  {100 * seconds / wall:6.2f}%")
    total = sum(parts.values())
    print(f"  {'sum of the parts':<45} {total:8.2f} s  {100 * total / wall:6.2f}%")
    return bool(abs(total - wall) < 0.01 * wall)


TOLD = {"checkpoint": tell_checkpoint, "epoch": tell_epoch}


def main() -> int:
    """Measures all of it, or what --only names; 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--data", type=Path, help="a prepared set of 64x64 pictures (default: made ones)")
    parser.add_argument("--eager", action="store_true", help="don't compile, whatever the recipe says")
    parser.add_argument("--only", choices=MEASURES)
    parser.add_argument("--measure", choices=MEASURES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.measure:
            print(json.dumps(MEASURES[options.measure](options, Path(folder))))
            return 0
        if options.data is None:
            options.data = Path(folder) / "made"
            prepared_set(options.data, int(1.2 * options.batch * (options.steps + options.warmup + 1)))
        good = []
        for name in [options.only] if options.only else MEASURES:
            figures = apart(name, options)
            if name in TOLD:
                good.append(TOLD[name](figures))
            else:
                good.append(tell_loop(name, figures, options))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
