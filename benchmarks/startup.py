"""`tinct --help` against a bare interpreter: median of 9 each, interleaved.

python -m benchmarks.startup
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

LIMIT = 0.4  # seconds more than a bare interpreter


def seconds(*arguments: str) -> float:
    """Wall time of one start of the interpreter."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> int:
    """Prints both and the difference; 1 when it is above the limit."""
    pairs = [(seconds("-c", "pass"), seconds("-m", "tinct", "--help")) for _ in range(9)]
    bare, full = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"bare interpreter {bare:.3f} s, tinct --help {full:.3f} s: {full - bare:.3f} s more (limit {LIMIT} s)")
    return int(full - bare > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
