"""One 12-megapixel photograph, JPEG in and out at quality 95, with a model's default settings: seconds and memory.

    python -m benchmarks.photo [--model NAME] [--runs 5]

The time is from decoding to the closed file, libraries and model loaded, median of the runs; the memory is the largest
that a fresh process ever held. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tinct.bench.made import photograph

SIZE = (4000, 3000)
TARGET_SECONDS, TARGET_GIGABYTES = 4.0, 1.5


def main() -> int:
    """Measures in a fresh process and prints; the exit code is 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measured(options.child, options.model, options.runs)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "photograph.jpg"
        photograph(SIZE).save(source, quality=95)
        command = [sys.executable, "-m", "benchmarks.photo", "--model", options.model, "--runs", str(options.runs)]
        child = subprocess.run([*command, "--child", str(source)], stdout=subprocess.PIPE, text=True, check=True)
        result = json.loads(child.stdout)
        error = luma_error(source, source.with_name("coloured.jpg"))
    seconds = statistics.median(result["seconds"])
    print(f"{SIZE[0]} x {SIZE[1]} px, model {options.model}, default settings, {result['threads']} threads")
    print(f"median of {options.runs}: {seconds:.2f} s (target {TARGET_SECONDS:g}); all: {result['seconds']}")
    print(f"without the model: {result['without_model']:.2f} s (read, join with the luma, write)")
    print(f"largest memory: {result['gigabytes']:.2f} GB (target {TARGET_GIGABYTES:g})")
    print(f"luma after the JPEG: mean error {error:.3f} levels")
    return 0 if seconds < TARGET_SECONDS and result["gigabytes"] < TARGET_GIGABYTES else 1


def measured(source: Path, name: str, runs: int) -> dict[str, object]:
    """Seconds of each run, seconds without the model, and the largest memory of this process in gigabytes."""
    import torch

    from tinct import zoo
    from tinct.photo import PhotoOptions, colouring, plan, run
    from tinct.photo.records import Done

    model = zoo.colorizer(zoo.load(name))
    todo = plan([source], source.with_name("coloured.jpg"), label="colour")
    work = colouring(model, PhotoOptions())
    run_seconds = []
    for _ in range(runs + 1):  # the first one warms up
        started = time.perf_counter()
        (record,) = run(todo, work)
        run_seconds.append(round(time.perf_counter() - started, 3))
        assert isinstance(record, Done), record
    return {
        "seconds": run_seconds[1:],
        "without_model": without_model(source),
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,  # Linux counts in kilobytes
        "threads": torch.get_num_threads(),
    }


def without_model(source: Path) -> float:
    """Seconds for everything but the model's chroma, for which noise stands in: the best of three."""
    import torch

    from tinct.images import read, write
    from tinct.photo.colouring import full_size, reduced

    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        picture = read(source)
        seen = reduced(picture.gray, (64, 88))
        chroma = 20 * torch.randn((2, seen.shape[0] // 2, seen.shape[1] // 2))
        write(full_size(picture.gray, chroma), source.with_name("noise.jpg"), picture)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def luma_error(source: Path, result: Path) -> float:
    """Mean absolute difference of the two files' gray, in levels: what the JPEG itself costs."""
    grays = [np.asarray(Image.open(path).convert("L")).astype(int) for path in (source, result)]
    return float(np.abs(grays[0] - grays[1]).mean())


if __name__ == "__main__":
    sys.exit(main())
