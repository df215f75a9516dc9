"""The Dockerfile, without Docker: its pip steps in a clean virtual environment, and what it then starts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHOSEN = " $TORCH_OPTIONS"  # empty, unless whoever builds the image says something


def steps() -> list[list[str]]:
    """The arguments of each `RUN pip`."""
    found = re.findall(r"^RUN pip (.+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    return [[part.strip("'") for part in line.replace(CHOSEN, "").split()] for line in found]


def test_it_installs_with_the_constraints_and_serves_others() -> None:
    assert all("constraints.txt" in step for step in steps())
    command = json.loads(re.search(r"^CMD (\[.+\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1])  # type: ignore[index]
    assert command == ["tinct", "serve", "--host", "0.0.0.0"]


@pytest.mark.slow
@pytest.mark.timeout(1700)
def test_its_steps_give_a_server(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    bin = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    for step in steps():
        subprocess.run([str(bin / "pip"), *step], check=True, cwd=ROOT)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [str(bin / "tinct"), "serve", "--host", "0.0.0.0", "--port", "0"],
        stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = "".join(process.stdout.readline() for _ in range(3))
        port, token = re.search(r":(\d+) ", said)[1], re.search(r"token: (\S+)", said)[1]  # type: ignore[index]
        assert len(token) > 20
        end = time.monotonic() + 60
        while not _health(f"http://127.0.0.1:{port}/healthz")["ready"]:
            assert time.monotonic() < end
            time.sleep(0.2)
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _health(url: str) -> dict[str, object]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return dict(json.load(answer))
    except OSError:
        return {"ready": False}
