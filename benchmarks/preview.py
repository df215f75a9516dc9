"""One photograph of 0.3 megapixels, JPEG in and out, as a preview and in full: milliseconds.

    python -m benchmarks.preview [--model NAME] [--runs 9]

The time is from decoding to the closed file, libraries and model loaded, median of the runs. Run it on a machine that does
nothing else.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.photo import SIZE as FULL
from tinct import zoo
from tinct.bench.made import photograph
from tinct.families import Colorizer
from tinct.photo import Done, PhotoOptions, colouring, plan, run

SIZE, TARGET_MILLISECONDS = (640, 480), 100.0


def main() -> int:
    """Measures and prints; the exit code is 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    model = zoo.colorizer(zoo.load(options.model))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "photograph.jpg"
        photograph(FULL).resize(SIZE).save(source, quality=95)
        preview, full = (_milliseconds(model, source, preview, options.runs) for preview in (True, False))
    print(f"{SIZE[0]} x {SIZE[1]} px, model {options.model}, median of {options.runs}")
    print(f"preview {preview:.0f} ms (target {TARGET_MILLISECONDS:g}), in full {full:.0f} ms")
    return 0 if preview < TARGET_MILLISECONDS else 1


def _milliseconds(model: Colorizer, source: Path, preview: bool, runs: int) -> float:
    todo = plan([source], source.with_name("coloured.jpg"), label="colour")
    work, milliseconds = colouring(model, PhotoOptions(), preview=preview), []
    for _ in range(runs + 1):  # the first one warms up
        started = time.perf_counter()
        (record,) = run(todo, work)
        milliseconds.append(1000 * (time.perf_counter() - started))
        assert isinstance(record, Done), record
    return statistics.median(milliseconds[1:])


if __name__ == "__main__":
    sys.exit(main())
