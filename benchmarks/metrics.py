"""Time and memory of evaluating 1,000 pictures of 64 x 64: the metrics alone, as the model's own time is not counted.

    python -m benchmarks.metrics [--pictures N] [--feature-weights DIR] [--sets]

Rows are those of `tinct evaluate`: gray, mean chroma and a model that is a table look-up. Each case runs in a process of
its own. `--sets` times the Frechet and kernel distances on 768 features as well, which takes minutes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage import data

from benchmarks import WEIGHTS

Rgb = npt.NDArray[np.uint8]
PLAIN = ("psnr", "ssim", "de2000", "de76", "colourfulness", "colourfulness-distance", "colourfulness-gap")
LIMITS = {"no network": 60.0, "with LPIPS-squeeze": 120.0}  # seconds for 1,000 pictures on two cores
MEMORY_LIMIT = 40.0  # MB more for four times as many pictures
SIDE = 64  # px


def crops(count: int) -> Iterator[tuple[str, Rgb]]:
    """Pieces of photographs, each another one."""
    photographs: list[Rgb] = [getattr(data, name)() for name in ("astronaut", "coffee", "chelsea")]
    random = np.random.default_rng(0)
    for number in range(count):
        photograph = photographs[number % 3]
        top, left = (int(random.integers(0, side - SIDE + 1)) for side in photograph.shape[:2])
        yield f"{number}", photograph[top : top + SIDE, left : left + SIDE].copy()


def painted(grays: Sequence[Rgb], seeds: Sequence[int]) -> list[Rgb]:
    """A model that costs next to nothing: warm where it is light, cold where it is dark."""
    levels = np.arange(256)
    table = np.stack([levels + (levels - 128) // 8, levels, levels - (levels - 128) // 8], axis=1).clip(0, 255)
    return [table.astype(np.uint8)[gray] for gray in grays]


def run(names: Sequence[str], count: int, feature_weights: str | None) -> dict[str, Any]:
    """Evaluates once, in this process: seconds without the model's, and the largest resident memory in MB."""
    from tinct.evaluation import Table, evaluate
    from tinct.metrics import Prepared, prepare

    ready = [record for record in prepare(names, feature_weights) if isinstance(record, Prepared)][-1]
    if ready.missing:
        return {"missing": next(iter(ready.missing.values()))}
    table = None
    for number in (12, count):  # first a few, so that libraries are loaded
        started = time.perf_counter()
        for record in evaluate(crops(number), painted, ready.measures, None, ready.sets):
            table = record if isinstance(record, Table) else None
        seconds = time.perf_counter() - started
    assert table is not None
    own = sum(row.seconds or 0 for row in table.rows) * len(table.pictures)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"seconds": seconds - own, "megabytes": memory, "n": len(table.pictures)}


def case(names: Sequence[str], count: int, feature_weights: str | None) -> dict[str, Any]:
    """`run` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.metrics", "--case", ",".join(names), "--pictures", str(count)]
    command += ["--feature-weights", feature_weights] if feature_weights else []
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    result: dict[str, Any] = json.loads(answer.splitlines()[-1])
    return result


def timed(name: str, names: Sequence[str], count: int, feature_weights: str | None) -> bool:
    """Prints a case's time; whether it is within its limit for so many pictures."""
    got = case(names, count, feature_weights)
    if "missing" in got:
        print(f"{name}: {got['missing']}")
        return True
    limit = LIMITS.get(name, float("inf")) * count / 1000
    verdict = "" if limit == float("inf") else f" (limit {limit:.0f})"
    print(
        f"{name:20} {got['seconds']:6.1f} s{verdict}, {got['n']} pictures, {got['megabytes']:.0f} MB resident at most"
    )
    return bool(got["seconds"] <= limit)


def remembered(names: Sequence[str], count: int) -> bool:
    """Prints how memory grows from a quarter of the pictures to all of them; whether it is bounded."""
    less, more = (case(names, number, None)["megabytes"] for number in (count // 4, count))
    print(
        f"{'memory':20} {more - less:6.1f} MB more for {count} pictures than for {count // 4} (limit {MEMORY_LIMIT:.0f})"
    )
    return bool(more - less <= MEMORY_LIMIT)


def main() -> int:
    """The number of limits that were missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--feature-weights", type=Path, default=WEIGHTS)
    parser.add_argument("--sets", action="store_true")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    weights = str(options.feature_weights) if options.feature_weights.exists() else None
    if options.case:
        print(json.dumps(run(options.case.split(","), options.pictures, weights)))
        return 0
    if weights is None:
        print(f"{options.feature_weights} is not there: networks are looked for in the cache, or downloaded.")
    reached = [
        timed("no network", PLAIN, options.pictures, None),
        timed("with LPIPS-squeeze", (*PLAIN, "lpips-squeeze"), options.pictures, weights),
        remembered(PLAIN, options.pictures),
    ]
    for name in ("fid-768", "kid-768", "fid-768-matched") if options.sets else ():
        timed(name, (name,), options.pictures, weights)
    return reached.count(False)


if __name__ == "__main__":
    sys.exit(main())
