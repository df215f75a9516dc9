"""Runs tinct as somebody at a terminal would."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")


@contextlib.contextmanager
def typed(*answers: str) -> Iterator[None]:
    """Within the block standard input is a terminal at which these lines were typed, for what runs in this process."""
    ours, theirs = pty.openpty()
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    before = sys.stdin
    with open(theirs, encoding="utf-8") as sys.stdin:  # noqa: PTH123 - a descriptor
        try:
            yield
        finally:
            sys.stdin = before
            os.close(ours)


def talk(
    arguments: Sequence[str | Path], answers: Sequence[tuple[str, str]], workspace: Path, timeout: float = 60
) -> tuple[int, str]:
    """Exit code and screen of `tinct ARGUMENTS`; each answer is (what the screen must show first, what is typed then)."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TINCT_WORKSPACE": str(workspace), "COLUMNS": "200", "TERM": "xterm"}
    command = [sys.executable, "-m", "tinct", *map(str, arguments)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        screen = ""
        for question, answer in answers:
            screen += _read_until(ours, question, timeout)
            os.write(ours, answer.encode() + b"\n")
        screen += _read_until(ours, None, timeout)
    os.close(ours)
    return process.returncode, screen


def _read_until(terminal: int, wanted: str | None, timeout: float) -> str:
    """What appears until `wanted` does, or until the program ends."""
    text, deadline = "", time.monotonic() + timeout
    while wanted is None or wanted not in text:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"{wanted!r} did not appear:\n{text}"
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux: the other end is closed
            data = b""
        if not data:
            assert wanted is None, f"the program ended before {wanted!r}:\n{text}"
            return text
        text = _CONTROL.sub("", text + data.decode("utf-8", "replace"))
    return text
