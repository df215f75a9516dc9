"""One thread or several for a colouring: which is quicker at which size, in one run, taken in turn.

    python -m benchmarks.threads [--model NAME] [--rounds 9]

The model's part of a colouring at growing numbers of working pixels: by one thread, by as many as torch has, and, where there are
several pictures, in parts side by side by one thread each. Medians; run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import torch

from tinct import threads, zoo
from tinct.families import Colorizer
from tinct.photo import PhotoOptions
from tinct.photo.colouring import drawn_here

SHAPES = ((1, 64, 64), (1, 64, 88), (1, 128, 176), (1, 192, 256), (1, 256, 352), (1, 512, 704),
          (4, 64, 64), (16, 64, 64), (64, 64, 64))  # fmt: skip


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    model, count = zoo.colorizer(zoo.load(options.model)), torch.get_num_threads()
    if count == 1:
        print("torch has one thread here: nothing to compare")
        return 0
    print(f"{'pictures':>22} {'pixels':>8} {'one thread':>11} {f'{count} threads':>11} {'in parts':>11}   ms")
    for shape in SHAPES:
        seen = 255 * torch.rand(shape[0], 1, *shape[1:], generator=torch.Generator().manual_seed(0))
        taken = measured(ways(model, seen), options.rounds)
        cells = " ".join(f"{1000 * seconds:11.1f}" for seconds in taken)
        print(f"{shape[0]:>6} of {shape[1]:>4} x {shape[2]:<4} {seen.numel():>8} {cells}", flush=True)
    return 0


def ways(model: Colorizer, seen: torch.Tensor) -> list[Callable[[], object]]:
    """By one thread, by all of them, and in parts."""

    def draw(part: torch.Tensor) -> torch.Tensor:
        return drawn_here(model, part, list(range(len(part))), PhotoOptions(draws=1))

    parts = seen.chunk(torch.get_num_threads())
    several = [partial(threads.side_by_side, draw, parts)] if len(parts) > 1 else []
    return [lambda: threads.on_one(partial(draw, seen)), partial(draw, seen), *several]


def measured(functions: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median seconds of each, taken in turn."""
    seconds: list[list[float]] = [[] for _ in functions]
    for round_ in range(rounds + 1):  # the first one warms up
        for function, taken in zip(functions, seconds, strict=True):
            started = time.perf_counter()
            function()
            taken += [time.perf_counter() - started] if round_ else []
    return [statistics.median(taken) for taken in seconds]


if __name__ == "__main__":
    sys.exit(main())
