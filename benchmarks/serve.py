"""The server under load, on this machine's loopback alone: how soon it is there, what REST costs, eight clients at once, memory.

    python -m benchmarks.serve [--model NAME] [--seconds 120] [--clients 8] [--runs 9]

It starts a server of its own and stops it, and itself, by itself. A photograph of one megapixel, JPEG: through REST, with a
decoded and a written file, beside `tinct.colorize` of the same file, which writes none; median of the runs. Then the clients ask
without a pause; answers that tell to come back (429) are no errors. Memory is the server's, after 20 requests and at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from benchmarks.photo import SIZE as FULL
from tinct import colorize
from tinct.bench.made import photograph
from tinct.web.client import Client, ServerError

SIZE = (1155, 866)  # a megapixel
MOST_SECONDS_TO_HEALTH, MOST_RATIO, MOST_MEGABYTES, LEAST_REQUESTS = 3.0, 1.3, 50.0, 200


def main() -> int:
    """Measures and prints; the exit code is 1 when something that must be reached is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(options.model) as (client, seconds_to_health):
        source = Path(folder) / "photograph.jpg"
        photograph(FULL).resize(SIZE).save(source, quality=95)
        rest = _median(lambda: client.colorize_files([source]), options.runs)
        here = _median(lambda: colorize(source, model=options.model), options.runs)
        step, cancelled = _cancelling(client, source)
        for _ in range(20):
            client.colorize_files([source])
        before = _megabytes(client)
        answers, slowest = _load(client, source, options.clients, options.seconds)
        grown = _megabytes(client) - before
    errors = sum(count for status, count in answers.items() if status not in (200, 429))
    print(f"/healthz after {seconds_to_health:.2f} s (target {MOST_SECONDS_TO_HEALTH:g})")
    print(f"one megapixel: {1000 * rest:.0f} ms through REST, {1000 * here:.0f} ms by tinct.colorize: {rest / here:.2f}"
          f" (target {MOST_RATIO:g})")  # fmt: skip
    print(f"cancelled {1000 * cancelled:.0f} ms after it was asked for; a step takes {1000 * step:.0f} ms")
    print(
        f"{options.clients} clients, {options.seconds:g} s: {dict(answers)}, slowest answer {slowest:.1f} s, errors {errors}"
    )
    print(
        f"memory: {before:.0f} MB after 20 requests, {grown:+.0f} MB after {answers[200]} more (target {MOST_MEGABYTES:g})"
    )
    well = seconds_to_health < MOST_SECONDS_TO_HEALTH and rest / here < MOST_RATIO
    return 0 if well and not errors and grown < MOST_MEGABYTES and answers[200] >= LEAST_REQUESTS else 1


@contextlib.contextmanager
def serving(model: str) -> Iterator[tuple[Client, float]]:
    """A server of its own process whose model is loaded, and the seconds until its first answer."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "tinct", "serve", "--port", "0", "--model", model]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found is not None
        client = Client(found[0])
        client.health()
        seconds = time.perf_counter() - started
        while not client.health()["ready"]:
            time.sleep(0.05)
        yield client, seconds
    finally:
        process.terminate()
        process.wait()


def _median(work: Callable[[], object], runs: int) -> float:
    """Seconds; the first two warm up."""
    seconds = []
    for _ in range(runs + 2):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[2:])


def _cancelling(client: Client, source: Path) -> tuple[float, float]:
    """Seconds of a step, and from asking to the end."""
    job, times, asked = client.submit([source], steps=200), list[float](), 0.0
    for event in job:
        times.append(time.perf_counter())
        if event["event"] == "progress" and event["step"] == 20:
            asked = time.perf_counter()
            job.cancel()
    assert job.status()["state"] == "cancelled"
    steps = [later - earlier for earlier, later in pairwise(times[2:21])]
    return statistics.median(steps), times[-1] - asked


def _load(client: Client, source: Path, clients: int, seconds: float) -> tuple[Counter[int], float]:
    """Answers by status, and the slowest that was well."""
    answers, slowest, lock = Counter[int](), [0.0], threading.Lock()
    until = time.perf_counter() + seconds

    def ask() -> None:
        while (started := time.perf_counter()) < until:
            status, pause = _asked(client, source)
            with lock:
                answers[status] += 1
                slowest[0] = max(slowest[0], time.perf_counter() - started)
            time.sleep(pause)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers, slowest[0]


def _asked(client: Client, source: Path) -> tuple[int, float]:
    """The answer's status, 0 for none, and the seconds that it told to wait."""
    try:
        client.colorize_files([source])
    except ServerError as error:
        return error.status, error.retry_after or 0.0
    except OSError:
        return 0, 0.0
    return 200, 0.0


def _megabytes(client: Client) -> float:
    """The server's memory."""
    found = re.search(r"^process_resident_memory_bytes (\S+)$", client.metrics(), re.MULTILINE)
    assert found is not None
    return float(found[1]) / 1e6


if __name__ == "__main__":
    sys.exit(main())
