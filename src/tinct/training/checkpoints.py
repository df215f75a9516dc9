"""Checkpoints written behind the loop: it goes on as soon as their content is copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import torch

from tinct.errors import OutputError
from tinct.files import replacing
from tinct.training.folder import epoch_checkpoints, link


def snapshot(value: Any, copies: dict[tuple[int, torch.Size, tuple[int, ...]], torch.Tensor] | None = None) -> Any:
    """A copy of nested dicts and lists of tensors, on the CPU, that later steps don't change; what is shared stays shared."""
    copies = {} if copies is None else copies
    if isinstance(value, torch.Tensor):
        key = (value.data_ptr(), value.shape, value.stride())
        if not value.numel() or key not in copies:
            copies[key] = value.detach().to("cpu", copy=True)
        return copies[key]
    if isinstance(value, dict):
        return {key: snapshot(item, copies) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(snapshot(item, copies) for item in value)
    return value


class Behind:
    """Does jobs one after the other in a thread; what goes wrong there is raised where the next one is handed in."""

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._error: BaseException | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Starts a job as soon as the one before it is done."""
        self.wait()
        self._thread = Thread(target=self._run, args=(job,), name="checkpoint")
        self._thread.start()

    def check(self) -> None:
        """Raises what went wrong, if something did."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def wait(self) -> None:
        """Until nothing is under way."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.check()

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # raised again by check
            self._error = error


def write_checkpoint(path: Path, content: dict[str, Any], names: Sequence[str], keep: int) -> None:
    """Writes a checkpoint; when it is whole it also gets the other names, and epochs' checkpoints beyond `keep` go."""
    try:
        with replacing(path, sync=True) as temporary:
            torch.save(content, temporary)
        for name in names:
            link(path, path.with_name(name))
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise OutputError(
            f"{path}: the checkpoint can't be written ({str(error).splitlines()[0]}). Those before it are whole. "
            "Make room and go on with --resume"
        ) from None
    for old in epoch_checkpoints(path.parent)[:-keep]:
        old.unlink()
