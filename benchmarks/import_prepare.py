"""Time and memory of importing and preparing all of a Tiny ImageNet zip.

    python -m benchmarks.import_prepare [--source ZIP] [--normalize none]

Prints seconds and the largest sum of resident memory over the command's processes, sampled every 20 ms.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks import DATA

SOURCE = DATA / "tiny-imagenet-200.zip"
LIMITS = {"import": (60, 500), "prepare": (120, 800)}  # seconds, megabytes


def resident(process: psutil.Process) -> int:
    """Bytes of a process and all its children."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_info().rss
        except psutil.Error:  # it has just ended
            continue
    return total


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds and peak megabytes of a command."""
    start, peak = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            try:
                peak = max(peak, resident(psutil.Process(running.pid)))
            except psutil.NoSuchProcess:
                break
            time.sleep(0.02)
    if running.returncode:
        sys.exit(f"{' '.join(command)} ended with {running.returncode}")
    return time.perf_counter() - start, peak / 1e6


def commands(source: Path, workspace: Path, normalize: str) -> dict[str, list[str]]:
    """The two commands that are measured."""
    tinct = [sys.executable, "-m", "tinct", "--workspace", str(workspace)]
    limits = ["--max-images", "1000000", "--max-size-mb", "10000"]
    return {
        "import": [*tinct, "import", "tiny-imagenet", "--source", str(source), "--name", "all", *limits, "--yes"],
        "prepare": [*tinct, "prepare", "all", "--size", "64", "--normalize", normalize, "--yes"],
    }


def main() -> None:
    """Measures both and prints one line each, then the files' sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=SOURCE)
    parser.add_argument("--normalize", default="none")
    arguments = parser.parse_args()
    if not arguments.source.exists():
        sys.exit(f"{arguments.source} is absent: give a Tiny ImageNet zip with --source")
    with tempfile.TemporaryDirectory() as folder:
        for name, command in commands(arguments.source, Path(folder), arguments.normalize).items():
            seconds, megabytes = measured(command)
            limit = LIMITS[name]
            print(f"{name:<8} {seconds:6.1f} s (limit {limit[0]})  {megabytes:6.0f} MB (limit {limit[1]})")
        for file in sorted((Path(folder) / "npzData" / "all").iterdir()):
            print(f"  {file.name:<20} {file.stat().st_size / 1e6:8.1f} MB")


if __name__ == "__main__":
    main()
