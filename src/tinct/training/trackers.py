"""Trackers: a run's history and configuration for TensorBoard or Weights & Biases, through Accelerate's trackers.

What they write lies in the run's folder. Weights & Biases stays offline unless WANDB_MODE=online.
"""

from __future__ import annotations

import importlib.util
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import GeneralTracker, TensorBoardTracker, WandBTracker

from tinct.errors import ConfigError, DataError
from tinct.files import read_json, write_json
from tinct.registry import Registry

NONE = "none"
STATE = "tracking.json"  # in the run's folder: what the tracker was told, and under which id
PROJECT = "tinct"
FLUSH_SECONDS = 0.5  # what Weights & Biases holds back is lost when a run is killed


@dataclass(frozen=True)
class Kind:
    """A tracker that can be chosen."""

    ready: Callable[[], None]  # raises ConfigError unless it can work here, before anything has begun
    open: Callable[
        [Path, str, int], GeneralTracker
    ]  # for a run's folder and id; what it holds from that epoch on is void
    goes_back: bool  # whether a run in it can take back what it was told


TRACKERS: Registry[Kind] = Registry("tracker")


class _TensorBoard(TensorBoardTracker):  # type: ignore[misc]  # accelerate has no types
    """Accelerate's, with the configuration beside the curves instead of in another folder at each start."""

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        """Under HParams."""
        self.writer.add_hparams(values, metric_dict={}, run_name=".")


def _tensorboard(folder: Path, run: str, first: int) -> GeneralTracker:
    """Events in <run>/tensorboard: `tensorboard --logdir models` shows all runs."""
    return _TensorBoard("tensorboard", str(folder), purge_step=first)


class _Wandb(WandBTracker):  # type: ignore[misc]
    """Accelerate's, with errors that say what to do."""

    def start(self) -> None:
        """Opens the run."""
        import wandb

        with _environment("WANDB_CACHE_DIR", str(Path(self.init_kwargs["dir"]) / "wandb" / "cache")):
            try:
                super().start()
            except wandb.errors.Error as error:
                raise _no_account(error) from None


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """A variable for the block, if it is not set."""
    there = name in os.environ
    os.environ.setdefault(name, value)
    try:
        yield
    finally:
        if not there:
            os.environ.pop(name)


def _wandb(folder: Path, run: str, first: int) -> GeneralTracker:
    """A run in <run>/wandb: kept there for `wandb sync`, or sent at once where WANDB_MODE=online."""
    import wandb

    settings: dict[str, Any] = {"silent": True, "console": "off", "disable_git": True, "save_code": False}
    if "x_transaction_log_flush_interval" in wandb.Settings.model_fields:  # else it writes at once
        settings["x_transaction_log_flush_interval"] = FLUSH_SECONDS
    return _Wandb(
        PROJECT, id=run, name=folder.name, dir=str(folder), resume="allow", mode=_wandb_mode(), settings=settings
    )


def _wandb_mode() -> str:
    return os.environ.get("WANDB_MODE") or "offline"


def _wandb_ready() -> None:
    mode = _wandb_mode()
    if mode not in ("online", "offline", "disabled"):
        raise ConfigError(f"track wandb: WANDB_MODE is '{mode}'; it can be online, offline or disabled")
    if mode != "online":
        os.environ["WANDB_ERROR_REPORTING"] = "false"  # it would report on itself over the network
        return
    import wandb

    try:
        wandb.login()  # asks for the key on a terminal
    except wandb.errors.Error as error:
        raise _no_account(error) from None


def _no_account(error: Exception) -> ConfigError:
    return ConfigError(f"track wandb: {error} Without WANDB_MODE=online it needs no account and no network")


TRACKERS.add("tensorboard")(Kind(lambda: None, _tensorboard, goes_back=True))
TRACKERS.add("wandb")(Kind(_wandb_ready, _wandb, goes_back=False))


def check(name: str) -> None:
    """ConfigError unless the tracker is installed and can work here."""
    if name == NONE:
        return
    kind = TRACKERS[name]
    if importlib.util.find_spec(name) is None:
        raise ConfigError(
            f"track {name}: its package is not installed. Get it with: pip install 'tinct[track]', or use --track none"
        )
    kind.ready()


class Tracking:
    """Tells the chosen tracker of every epoch of a run, once. "none" tells nobody, and so do all processes but the main one.

    A run that goes on goes on in the tracker. One that went back to an earlier epoch and took another way from there takes
    its curves back: TensorBoard drops what came after, Weights & Biases gets another run with the whole history.
    """

    def __init__(self, name: str, accelerator: Accelerator, folder: Path, config: Mapping[str, Any]) -> None:
        self.name = name if accelerator.is_main_process else NONE
        self.accelerator, self.folder, self.config = accelerator, folder, flat(config)
        if self.name == NONE:
            return
        state = _state(folder).get(name, {})
        self.run: str = state.get("run") or uuid.uuid4().hex[:12]
        self.told: list[list[float | None]] = state.get("told", [])
        self._open(len(self.told) + 1)

    def follow(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Tells the rows of the history that the tracker does not know yet."""
        if self.name == NONE:
            return
        losses = [[row["train_loss"], row["val_loss"]] for row in history]
        same = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(self.told, losses, strict=False))))
        if same < min(len(self.told), len(losses)):
            self._go_back(same)
        for row in history[len(self.told) :]:
            self.accelerator.log(flat(row, "/"), step=row["epoch"], log_kwargs={"wandb": {"commit": True}})
        self.told = losses if len(losses) > len(self.told) else self.told
        write_json(self.folder / STATE, {**_state(self.folder), self.name: {"run": self.run, "told": self.told}})

    def finish(self) -> None:
        """Closes the tracker; what it was told is on the disk then."""
        for tracker in self.accelerator.trackers:
            tracker.finish()
        self.accelerator.trackers.clear()

    def _open(self, first: int) -> None:
        self.accelerator.log_with = [TRACKERS[self.name].open(self.folder, self.run, first)]
        self.accelerator.init_trackers(PROJECT, self.config)

    def _go_back(self, epochs: int) -> None:
        self.finish()
        if not TRACKERS[self.name].goes_back:
            self.run, epochs = uuid.uuid4().hex[:12], 0
        self.told = self.told[:epochs]
        self._open(epochs + 1)


def flat(values: Mapping[str, Any], joint: str = ".", prefix: str = "") -> dict[str, bool | int | float | str]:
    """Nested tables as one, names joined; lists as text; what is None is left out."""
    found: dict[str, bool | int | float | str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, joint, f"{prefix}{name}{joint}")
        elif value is not None:
            found[prefix + name] = value if isinstance(value, bool | int | float | str) else str(value)
    return found


def _state(folder: Path) -> dict[str, Any]:
    """What the trackers of a run were told, by their names; a file that can't be read counts as nothing."""
    try:
        state = read_json(folder / STATE)
    except DataError:
        return {}
    return state if isinstance(state, dict) else {}
