"""The folder of a run, models/<name>/: where it lies, which checkpoint is the newest, how files get a second name."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tinct.data.discovery import PREPARED
from tinct.errors import DataError, OutputError
from tinct.files import read_json, replacing, workspace, write_json
from tinct.weights import load_checkpoint

CONFIG, HISTORY, LAST, BEST = "config.json", "training_history.json", "last.pth", "best_model.pth"


def run_folder(name: str) -> Path:
    """Where a run of that name lives."""
    return workspace() / "models" / name


def run_names() -> list[str]:
    """The runs of the workspace, whether they are finished or not."""
    return sorted(path.parent.name for path in workspace().glob(f"models/*/{CONFIG}"))


def data_folder(name: str) -> Path:
    """Where a prepared set of that name lives; DataError names what there is."""
    folder = workspace() / PREPARED / name
    if not folder.is_dir():
        there = sorted(path.name for path in folder.parent.glob("*/")) if folder.parent.is_dir() else []
        raise DataError(
            f"{folder}: no such prepared set. There are: {', '.join(there) or 'none'}. See `tinct prepare`."
        )
    return folder


def occupied(folder: Path) -> bool:
    """Whether the folder holds anything that a new run would mix with."""
    return folder.is_dir() and any(folder.glob("[!.]*"))


def clear(folder: Path) -> None:
    """Deletes a run's folder; OutputError when what is there is no run."""
    if occupied(folder) and not (folder / CONFIG).is_file():
        raise OutputError(f"{folder}: holds no training run, so it is not deleted. Choose another --name.")
    if folder.exists():
        with alone(folder):
            pass
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else trains in the folder meanwhile; OutputError if somebody does. The lock ends with its process."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise OutputError(
            f"{folder}: another process trains there now. Wait for it, or choose another --name."
        ) from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows deletes no open file
            path.unlink()
        lock.release()


def stored_config(folder: Path) -> dict[str, Any]:
    """config.json of a run: name, data, base, family, model, training."""
    config = read_json(folder / CONFIG)
    if not isinstance(config, dict) or "data" not in config:
        raise DataError(f"{folder / CONFIG}: describes no training run. Start anew with --overwrite.")
    return config


def stored_history(folder: Path) -> list[dict[str, Any]]:
    """training_history.json of a run, a row per epoch; empty before the first is done."""
    if not (folder / HISTORY).is_file():
        return []
    rows = read_json(folder / HISTORY)
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "train_loss" in row for row in rows):
        raise DataError(f"{folder / HISTORY}: not the history of a training run")
    return rows


def has_checkpoint(folder: Path) -> bool:
    """Whether a run can go on."""
    return (folder / LAST).is_file() or bool(epoch_checkpoints(folder))


def epoch_checkpoint(folder: Path, epoch: int) -> Path:
    """Where the checkpoint of an epoch lies."""
    return folder / f"checkpoint_epoch_{epoch}.pth"


def epoch_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of epochs, oldest first."""
    return sorted(folder.glob("checkpoint_epoch_*.pth"), key=_epoch)


def newest(folder: Path) -> Path:
    """The checkpoint to go on from: last.pth, unless an epoch's checkpoint was written after it."""
    found = [path for path in (folder / LAST, *epoch_checkpoints(folder)[-1:]) if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime_ns)


def link(source: Path, target: Path) -> None:
    """Another name for a file, at no cost: checkpoints are replaced, never changed. A copy where links don't exist."""
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copy2(source, temporary)


def rewind(folder: Path, history: list[dict[str, Any]]) -> None:
    """Removes what came after the last epoch of `history`; the best is then the best of what is left of its stage."""
    last = history[-1] if history else {"epoch": 0}
    losses = {
        row["epoch"]: row["train_loss"] if row["val_loss"] is None else row["val_loss"]
        for row in history
        if row.get("stage") == last.get("stage")
    }
    if (folder / BEST).is_file() and load_checkpoint(folder / BEST)["epoch"] > last["epoch"]:
        left = [path for path in epoch_checkpoints(folder) if _epoch(path) in losses]
        link(min(left, key=lambda path: losses[_epoch(path)]), folder / BEST)
    for path in (*epoch_checkpoints(folder), *folder.glob("samples_epoch_*.png")):
        if _epoch(path) > last["epoch"]:
            path.unlink()
    write_json(folder / HISTORY, history)


def _epoch(path: Path) -> int:
    """The epoch that a file is named after."""
    return int(path.stem.rpartition("_")[2])
