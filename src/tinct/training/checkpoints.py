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


class Snapshots:
    """Copies of nested dicts and lists of tensors, on the CPU, that later steps don't change; what is shared stays shared.

    Each takes the memory of the one before, which nobody may need any more: fresh memory costs more time than the copying.
    """

    def __init__(self) -> None:
        self._last: Any = None
        self._copies: dict[Any, torch.Tensor] = {}
        self._lent: set[int] = set()

    def take(self, value: Any) -> Any:
        """The copy."""
        self._copies, self._lent = {}, set()
        self._last = self._copied(value, self._last)
        return self._last

    def _copied(self, value: Any, old: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self._tensor(value.detach(), old)
        if isinstance(value, dict):
            known = old if isinstance(old, dict) else {}
            return {key: self._copied(item, known.get(key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            before = old if isinstance(old, list | tuple) and len(old) == len(value) else [None] * len(value)
            return type(value)(self._copied(item, one) for item, one in zip(value, before, strict=True))
        return value

    def _tensor(self, value: torch.Tensor, old: Any) -> torch.Tensor:
        key = (value.data_ptr(), value.shape, value.stride(), value.dtype)
        if key not in self._copies or not value.numel():
            self._copies[key] = old.copy_(value) if self._fits(value, old) else value.to("cpu", copy=True)
        return self._copies[key]

    def _fits(self, value: torch.Tensor, old: Any) -> bool:
        """Whether the memory of `old` can be used, and is not yet."""
        if not isinstance(old, torch.Tensor) or id(old) in self._lent:
            return False
        self._lent.add(id(old))
        return (old.shape, old.stride(), old.dtype) == (value.shape, value.stride(), value.dtype)


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
