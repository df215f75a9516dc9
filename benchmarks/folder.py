"""A folder of 1,000 photographs of 1 megapixel, JPEG in and out, with a model's default settings: how many per second.

    python -m benchmarks.folder [--model NAME] [--count 1000] [--workers N]

The time is that of `tinct colorize` on the folder, from listing it to the closed manifest, libraries and model loaded; the
memory is the largest that a fresh process ever held. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from tinct.data.parallel import cores

SIZE = (1152, 864)
TARGET_PER_SECOND, TARGET_GIGABYTES = 3.0, 1.5
NAMES = ("astronaut", "camera", "coffee", "chelsea", "rocket", "grass")


def main() -> int:
    """Measures in a fresh process and prints; the exit code is 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=min(8, cores()))
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measured(options.child, options.model, options.workers)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        album(Path(folder) / "album", options.count)
        command = [
            sys.executable,
            "-m",
            "benchmarks.folder",
            "--model",
            options.model,
            "--workers",
            str(options.workers),
        ]
        child = subprocess.run([*command, "--child", folder], stdout=subprocess.PIPE, text=True, check=True)
        result = json.loads(child.stdout)
    rate = options.count / result["seconds"]
    what = f"{options.count} photographs of {SIZE[0]} x {SIZE[1]} px"
    print(f"{what}, model {options.model}, default settings, {result['threads']} threads")
    print(f"{options.workers} workers: {result['seconds']:.1f} s, {rate:.2f} per second (target {TARGET_PER_SECOND:g})")
    print(f"largest memory: {result['gigabytes']:.2f} GB (target {TARGET_GIGABYTES:g})")
    return 0 if rate > TARGET_PER_SECOND and result["gigabytes"] < TARGET_GIGABYTES else 1


def album(folder: Path, count: int) -> None:
    """Gray photographs as scanners save them, each another crop of one of six pictures, with grain, in ten folders."""
    pictures = [Image.fromarray(getattr(data, name)()).convert("L") for name in NAMES]
    rng = np.random.default_rng(0)
    for number in range(count):
        picture = pictures[number % len(pictures)]
        left, top = (int(rng.integers(0, side // 3)) for side in picture.size)
        crop = picture.crop((left, top, left + picture.width * 2 // 3, top + picture.height * 2 // 3))
        samples = np.asarray(crop.resize(SIZE, Image.Resampling.BICUBIC), np.float32)
        grain = rng.normal(0, 5, samples.shape).astype(np.float32)
        path = folder / f"{number % 10}" / f"scan {number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((samples + grain).round().clip(0, 255).astype(np.uint8)).save(path, quality=95)


def measured(folder: Path, name: str, workers: int) -> dict[str, float]:
    """Seconds of the whole folder, and the largest memory of this process in gigabytes."""
    import torch

    from tinct import zoo
    from tinct.photo import Done, PhotoOptions, colouring, plan, run

    model = zoo.colorizer(zoo.load(name))
    work = colouring(model, PhotoOptions())
    first = next((folder / "album").rglob("*.jpg"))
    list(run(plan([first], folder / "first.jpg", label="colour"), work))  # warms up
    started = time.perf_counter()
    records = list(run(plan([folder / "album"], folder / "coloured", label="colour"), work, workers=workers))
    seconds = time.perf_counter() - started
    assert all(isinstance(record, Done) for record in records), records
    return {
        "seconds": seconds,
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,  # Linux counts in kilobytes
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    sys.exit(main())
