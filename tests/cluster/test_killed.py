"""Actors, machines and runs that are killed: nothing is lost, nothing is there twice."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from clustering import (
    BY_RAY,
    actors,
    assert_each_once,
    colorize,
    colorizing,
    entries,
    environment_number,
    files,
    gray_files,
    until,
)
from tinct.cli.main import main

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="kills as Linux has them")]

# The full length: TINCT_RAY_FILES=10000 TINCT_RAY_KILL_EVERY=20
FILES, KILL_EVERY = environment_number("TINCT_RAY_FILES", 1000), environment_number("TINCT_RAY_KILL_EVERY", 4)


def plain(*arguments: object) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["colorize", *map(str, arguments)])
    assert not ended.value.code


@pytest.mark.timeout(7200)
def test_a_worker_is_killed_again_and_again(untrained: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    album, out = gray_files(tmp_path / "album", FILES), tmp_path / "out"
    common = (album, "--model", untrained, "--draws", 1)
    chance, kills, before, begun = random.Random(0), 0, 0, time.monotonic()
    with colorizing(*common, "-o", out, *BY_RAY) as process:

        def more_is_done() -> bool:  # on a busy machine, too, between two kills
            return len(entries(out)) > before or process.poll() is not None

        while until(more_is_done) and process.poll() is None:
            before = len(entries(out))
            until(lambda: process.poll() is not None, KILL_EVERY)
            if living := actors(process):
                chance.choice(living).kill()
                kills += 1
        seconds = time.monotonic() - begun
        told, errors = process.communicate()
    assert process.returncode == 0, errors
    assert f"{FILES} coloured" in told
    assert "failed" not in errors
    assert kills > 0
    assert_each_once(out, FILES)
    plain(*common, "-o", tmp_path / "plain")
    assert files(out) == files(tmp_path / "plain")
    with capsys.disabled():
        print(
            f"\n{FILES} files, a worker killed every {KILL_EVERY} s ({kills} kills): {seconds:.0f} s, each output once"
        )


def test_a_run_that_is_killed_goes_on_where_it_was(untrained: str, tmp_path: Path) -> None:
    album, out = gray_files(tmp_path / "album", 200), tmp_path / "out"
    common = (album, "-o", out, "--model", untrained, "--draws", 1, *BY_RAY)
    with colorizing(*common) as process:
        assert until(lambda: len(entries(out)) > 20 or process.poll() is not None)
        left = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.wait()
        psutil.wait_procs(left, timeout=60)
    before = len(entries(out))
    assert 20 < before < 200
    done = colorize(*common)
    assert done.returncode == 0, done.stderr
    assert f"{200 - before} coloured, {before} done before" in done.stdout
    assert {str(entry["output"]) for entry in entries(out)} == {name for name in files(out) if ".part" not in name}
    assert len(entries(out)) == 200


def test_ctrl_c_ends_it_soon_and_leaves_nothing_half(untrained: str, tmp_path: Path) -> None:
    """As a terminal sends it: to every process of the group."""
    album, out = gray_files(tmp_path / "album", 400), tmp_path / "out"
    with colorizing(album, "-o", out, "--model", untrained, "--draws", 1, *BY_RAY) as process:
        assert until(lambda: len(entries(out)) > 20 or process.poll() is not None)
        started = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Run the same command again to go on" in errors
    assert "Traceback" not in errors
    assert not [name for name in files(out) if ".part" in name]
    assert len({str(entry["output"]) for entry in entries(out)}) == len(entries(out)) < 400
    assert not psutil.wait_procs(started, timeout=30)[1]
