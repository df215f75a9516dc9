"""`tinct colorize --engine ray` in a process of its own, and its actors, to be killed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

import numpy as np
import psutil
from PIL import Image
from skimage import data

BY_RAY = ("--engine", "ray", "--workers", "2")


def gray_files(folder: Path, count: int) -> Path:
    """So many small gray JPEGs, each another, in folders of a hundred."""
    picture = data.camera()
    for number in range(count):
        path = folder / f"{number // 100:03d}" / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        top, left = number * 7 % 400, number * 13 % 400
        Image.fromarray(np.ascontiguousarray(picture[top : top + 48, left : left + 64])).save(path, quality=90)
    return folder


def colorize(*arguments: object, env: Mapping[str, str] = MappingProxyType({})) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    command, everything = _command(arguments), os.environ | env
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, env=everything)


@contextmanager
def colorizing(*arguments: object, env: Mapping[str, str] = MappingProxyType({})) -> Iterator[subprocess.Popen[str]]:
    """The command while it works, in a process group of its own; killed at the end."""
    pipe, everything = subprocess.PIPE, os.environ | env
    process = subprocess.Popen(
        _command(arguments), stdout=pipe, stderr=pipe, text=True, start_new_session=True, env=everything
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _command(arguments: tuple[object, ...]) -> list[str]:
    return [sys.executable, "-m", "tinct", "colorize", *map(str, arguments)]


def actors(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The actors of a run that are alive."""
    found = []
    with suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if "MapWorker" in " ".join(child.cmdline()):
                    found.append(child)
    return found


def unused_port() -> int:
    """A port of 127.0.0.1 that nobody listens at."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until(true: Callable[[], object], seconds: float = 1500) -> bool:
    """Waits until something is true, and says whether it is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.1)
    return False


def entries(out: Path) -> list[dict[str, object]]:
    """The lines of the manifest."""
    path = out / "manifest.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder, hidden files too, but for the manifest."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.jsonl")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def assert_each_once(out: Path, count: int) -> None:
    """So many outputs, all whole, each with one line; nothing else lies there."""
    made, lines = files(out), Counter(str(entry["output"]) for entry in entries(out))
    assert len(made) == count
    assert set(lines) == set(made)
    assert set(lines.values()) == {1}
    for name in list(made)[:: max(1, count // 50)]:
        with Image.open(out / name) as image:
            image.load()


def environment_number(name: str, default: int) -> int:
    """A number that may be set from outside, for a test in full length."""
    return int(os.environ.get(name, default))
