"""A folder of 1,000 photographs of 1 megapixel by two actors of Ray, beside the plain command: photographs per second.

    python -m benchmarks.ray_folder [--model NAME] [--count 1000] [--workers 2]

Start-up is left out of both: the plain command's time begins with libraries and model loaded; that of the actors, after as many
photographs as make each of them load its own, with the record of the last of these. The bytes are compared too. Run it on a
machine that does nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks.folder import album
from tinct import zoo
from tinct.cluster.runs import run as run_by_actors
from tinct.photo import Done, PhotoOptions, Plan, Record, colouring, plan, run

TARGET = 0.9  # of the plain command's rate
WARM_UP = 32  # photographs that are not counted: with fewer, an actor may still be loading


def main() -> int:
    """Measures both, one after the other, and prints; the exit code is 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    work = colouring(zoo.colorizer(zoo.load(options.model)), PhotoOptions())
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        album(folder / "album", options.count + WARM_UP)
        plain = rate(run(todo(folder, "plain"), work, workers=options.workers))
        actors = rate(run_by_actors(todo(folder, "ray"), work, workers=options.workers))
        same = outputs(folder / "plain") == outputs(folder / "ray")
    print(f"{options.count} photographs of 1 megapixel, model {options.model}, {os.cpu_count()} cores")
    print(f"plain command: {plain:.2f} per second; {options.workers} actors of Ray: {actors:.2f} per second")
    print(f"ratio {actors / plain:.2f} (target {TARGET:g}); the same bytes: {'yes' if same else 'NO'}")
    return 0 if same and actors >= TARGET * plain else 1


def todo(folder: Path, name: str) -> Plan:
    """The album, to be coloured into a folder of that name."""
    return plan([folder / "album"], folder / name, label="colour")


def rate(records: Iterable[Record]) -> float:
    """Photographs per second after the first WARM_UP of them."""
    counted, started = -WARM_UP, 0.0
    for record in records:
        assert isinstance(record, Done), record
        counted += 1
        if counted == 0:
            started = time.perf_counter()
    return counted / (time.perf_counter() - started)


def outputs(folder: Path) -> dict[str, str]:
    """The hashes of the coloured files by their names."""
    found = sorted(folder.rglob("*.jpg"))
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


if __name__ == "__main__":
    sys.exit(main())
