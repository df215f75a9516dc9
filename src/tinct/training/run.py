"""A training run in its folder: config, history, checkpoints, curve, sample sheets; and how to go on.

Everything is written under a temporary name and renamed: a run that is killed at any instant goes on from its newest checkpoint.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tinct import __version__, figures, weights, zoo
from tinct.config import from_dict, override, to_dict
from tinct.errors import ConfigError, DataError, WeightsError
from tinct.families import FAMILIES, Model
from tinct.files import sweep, write_json
from tinct.training import cost, trackers
from tinct.training.checkpoints import Behind, Snapshots, write_checkpoint
from tinct.training.engine import memory_advice
from tinct.training.folder import BEST, CONFIG, HISTORY, LAST, alone, epoch_checkpoint, newest, rewind
from tinct.training.loop import Trainer
from tinct.training.options import TrainConfig
from tinct.training.pictures import Pictures, check_degrading
from tinct.training.progress import EpochDone, StepDone
from tinct.training.sheet import sample_sheet

SHEET_PICTURES = 8


@dataclass(frozen=True)
class Sampling:
    """The sample sheet of an epoch is about to be drawn."""

    epoch: int


@dataclass(frozen=True)
class Saved:
    """A file of the run was written; a checkpoint may still be on its way to the disk, behind the loop."""

    path: Path


Record = StepDone | EpochDone | Sampling | Saved


class Run:
    """One training run in its folder. Make one with `new` or `resumed`; then iterate `train`, which alone writes."""

    def __init__(self, folder: Path, data: Path, config: TrainConfig, feature_weights: Path | None = None) -> None:
        cost.check(config.cost)
        self.folder, self.data, self.config = folder, data, config
        self.pictures = Pictures.open(data, config.training)
        torch.manual_seed(config.training.seed)
        family = FAMILIES[config.family]
        self.model = family.build(config.model)
        self.pictures.check_size(self.model)
        check_degrading(config.training, self.model)
        players = family.objectives(self.model, config.loss, len(self.pictures.train.names), feature_weights)
        self.trainer = Trainer(self.model, players, *self.pictures.feeds(config.training), config.training)
        self.mean_cbcr = self.pictures.mean_cbcr()
        self.hours_before = 0.0  # spent by the run before it was resumed
        self.base: dict[str, Any] = {}  # header of the weights it started from
        self.written = 0  # the last epoch whose files are all there
        self.rewound = False  # to a checkpoint that is not the newest
        self.writes = self.trainer.accelerator.is_main_process
        if self.writes:
            trackers.check(config.training.track)
        self._behind = Behind()
        self._snapshots = Snapshots()
        self._started = time.monotonic()

    @classmethod
    def new(
        cls,
        folder: Path,
        data: Path,
        config: TrainConfig,
        base: str | None = None,
        feature_weights: Path | None = None,
    ) -> Run:
        """A run from the start, or from the weights of the model `base`, whose shape it must have."""
        run = cls(folder, data, config, feature_weights)
        if base is not None:
            state, header = zoo.load_weights(zoo.find(base))
            _load_base(run.model, state, base)
            run.base = {**header, "name": base}
            run.trainer.ema.average.load_state_dict(run.model.state_dict())
        return run

    @classmethod
    def resumed(
        cls,
        folder: Path,
        data: Path,
        assignments: Sequence[str],
        checkpoint: Path | None = None,
        feature_weights: Path | None = None,
    ) -> Run:
        """The run of a folder, where it was broken off, with its own config and the options of `assignments` laid over.

        From a `checkpoint` that is not the newest it goes on as if nothing had come after it.
        """
        path = checkpoint or newest(folder)
        content = weights.load_checkpoint(path)
        if not {"facts", "progress", "optimizer_state_dict"} <= content.keys():
            raise WeightsError(f"{path}: no training can go on from it; start from its weights with --from {path}")
        saved = {item.name: content["config"].get(item.name, {}) for item in dataclasses.fields(TrainConfig)}
        before = from_dict(TrainConfig, saved)
        config = from_dict(TrainConfig, override(TrainConfig, saved, assignments))
        _check_same_split(before, config)
        run = cls(folder, data, config, feature_weights)
        run._load(path, content)
        if before.loss != config.loss:
            run.trainer.forget_best()
        run.rewound = path != newest(folder)
        return run

    def _load(self, path: Path, content: dict[str, Any]) -> None:
        """Goes back to the state of a checkpoint."""
        if content["facts"]["data"]["fingerprint"] != self.pictures.train.fingerprint:
            raise DataError(
                f"{self.data}: not the pictures that '{self.folder.name}' was trained on so far. Train under another name."
            )
        try:
            self.trainer.load_state(_completed(content))
        except (RuntimeError, ValueError, KeyError) as error:
            raise WeightsError(f"{path}: of another architecture than the options ask for ({error})") from None
        self.hours_before, self.base = content["facts"]["hours"], content["facts"].get("base", {})
        self.written = content["written"] if path.name == LAST else content["epoch"] - 1

    @property
    def pending(self) -> bool:
        """Whether the last epoch that was trained still lacks some of its files."""
        history = self.trainer.progress.history
        return bool(history) and history[-1]["epoch"] > self.written

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do: the last stage is over, and all is written."""
        return self.trainer.over and not self.pending

    def described(self) -> dict[str, Any]:
        """The whole configuration, as config.json holds it."""
        return {
            "name": self.folder.name,
            "data": self.data.name,
            "base": self.base.get("name"),
            "version": __version__,
            **to_dict(self.config),
        }

    def facts(self) -> dict[str, Any]:
        """What weights of this run say of themselves."""
        progress, pictures = self.trainer.progress, self.pictures
        hours = self.hours_before + (time.monotonic() - self._started) / 3600
        facts: dict[str, Any] = {
            "name": self.folder.name,
            "version": __version__,
            "data": {
                "name": self.data.name,
                "pictures": len(pictures.train_indices),
                "fingerprint": pictures.train.fingerprint,
            },
            "steps": progress.steps_done,
            "pictures_seen": progress.pictures_seen,
            "cpu_minutes": round(progress.cpu_seconds / 60, 4),
            "hours": round(hours, 4),
            "mean_cbcr": self.mean_cbcr,
        }
        return {**facts, "base": self.base} if self.base else facts

    def train(self) -> Generator[Record, None, None]:
        """Trains to the end and writes what a run writes. Interrupted or stopped, it first saves where it is."""
        self._started = time.monotonic()  # what was asked before is not training
        self.trainer.accelerator.wait_for_everyone()  # every process has looked at the folder as it was
        with memory_advice(self.config.training), alone(self.folder) if self.writes else nullcontext():
            if self.writes:
                self._begin()
            try:
                if self.pending:
                    yield from self._write_epoch()
                yield from self._train()
            except (KeyboardInterrupt, GeneratorExit):
                self.save(LAST)
                raise
            finally:
                if self.writes:
                    self._tracking.finish()
                self._behind.wait()
        self.trainer.accelerator.wait_for_everyone()

    def _begin(self) -> None:
        """Makes the folder say what is about to be trained."""
        sweep(self.folder, older_than=0)  # what a run that was killed in the middle of writing left
        write_json(self.folder / CONFIG, self.described())
        if self.rewound:
            self.save(LAST)
            self._behind.wait()
            rewind(self.folder, self.trainer.progress.history)
        self._cost = cost.Cost.of(self.trainer, self.config)
        track, engine = self.config.training.track, self.trainer.accelerator
        self._tracking = trackers.Tracking(track, engine, self.folder, self.described())

    def _train(self) -> Iterator[Record]:
        saved = time.monotonic()
        for record in self.trainer.run():
            self._behind.check()
            yield record
            if isinstance(record, EpochDone):
                yield from self._write_epoch()
                saved = time.monotonic()
            elif time.monotonic() - saved > 60 * self.config.training.checkpoint_minutes:
                yield Saved(self.save(LAST))
                saved = time.monotonic()

    def save(self, name: str, best: bool = False) -> Path:
        """Writes a checkpoint that holds everything, behind the loop; it takes its name, and others, when it is whole."""
        path = self.folder / name
        if self.writes:
            self._behind.wait()  # so that only one copy is held
            whole_epoch = name != LAST
            content = self._snapshots.take(self.checkpoint(whole_epoch))
            names = [*([BEST] if best else []), LAST] if whole_epoch else []
            self._behind.submit(lambda: write_checkpoint(path, content, names, self.config.training.keep))
        return path

    def checkpoint(self, whole_epoch: bool) -> dict[str, Any]:
        """Everything, under the published names of its parts and our own; the tensors are those of the training itself."""
        history, state = self.trainer.progress.history, self.trainer.state()
        last = history[-1] if history else {"epoch": 0, "train_loss": None, "val_loss": None}
        opponents = zip(state["objective_state_dicts"][1:], state["optimizer_state_dicts"], strict=True)
        judge, its_optimizer = next(opponents, (None, None))
        return {
            "epoch": last["epoch"],
            "train_loss": last["train_loss"],
            "val_loss": last["val_loss"],
            "best_val_loss": self.trainer.progress.best,
            "loss_state_dict": {
                **self.trainer.players[0].loss_state(),
                "discriminator_state_dict": judge,
                "discriminator_optimizer_state_dict": its_optimizer,
            },
            "config": self.described(),
            "facts": self.facts(),
            "written": last["epoch"] if whole_epoch else self.written,
            **state,
        }

    def _write_epoch(self) -> Iterator[Record]:
        """The files of the last epoch of the history. `last.pth` comes last: then everything else is there."""
        options, history = self.config.training, self.trainer.progress.history
        epoch = history[-1]["epoch"]
        if self.writes:
            if epoch % options.sample_every == 0 or self.trainer.stage_over:
                yield Sampling(epoch)
                path = self.folder / f"samples_epoch_{epoch}.png"
                sample_sheet(self.trainer.ema.average, self.pictures.shown(SHEET_PICTURES), path)
                yield Saved(path)
            write_json(self.folder / HISTORY, history)
            figures.loss_curve(history, self.folder / "loss_curve.png")
            write_json(self.folder / cost.REPORT, self._cost.report(3600 * self.facts()["hours"]))
            self._tracking.follow(history)
            path = epoch_checkpoint(self.folder, epoch)
            yield Saved(self.save(path.name, best=not self.trainer.progress.waiting))
        self.written = epoch


def _load_base(model: Model, state: dict[str, torch.Tensor], base: str) -> None:
    """Weights that the base lacks may begin as zero: then the model begins as the base. Jumps that are not asked for are left."""
    own = model.state_dict()
    kept = {name: value for name, value in state.items() if name in own or not name.endswith(".jump")}
    try:
        model.load_state_dict({name: value for name, value in own.items() if not value.any()} | kept)
    except RuntimeError as error:
        raise WeightsError(
            f"--from {base}: its weights are of another architecture than the options ask for. "
            f"Leave the options of the network away, and they are taken from it. ({str(error).splitlines()[0]})"
        ) from None


def _check_same_split(before: TrainConfig, after: TrainConfig) -> None:
    """What decides which pictures are held out must stay: else validation would see pictures that were trained on."""
    for name in ("seed", "validation_fraction"):
        if getattr(before.training, name) != getattr(after.training, name):
            raise ConfigError(f"{name}: a run that goes on can't change it. Start another with --name NEW --from RUN")


def _completed(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a checkpoint, with what the first ones did not count."""
    seen = {"steps_done": content["facts"]["steps"], "pictures_seen": content["facts"]["pictures_seen"]}
    batch = {"pictures_per_step": content["config"]["training"]["batch_size"]}
    return {**batch, **content, "progress": {**seen, **content["progress"]}}
