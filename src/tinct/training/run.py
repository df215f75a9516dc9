"""A training run in its folder: config, history, checkpoints, curve, sample sheets; and how to go on.

Everything is written under a temporary name and renamed: a run that is killed at any instant goes on from its newest checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tinct import __version__, figures, weights, zoo
from tinct.color import compose, luma
from tinct.config import from_dict, override, to_dict
from tinct.errors import ConfigError, DataError, WeightsError
from tinct.families import FAMILIES, Colorizer, generators_for
from tinct.files import replacing, sweep, write_json
from tinct.training.folder import BEST, CONFIG, LAST, epoch_checkpoint, epoch_checkpoints, link, newest
from tinct.training.loop import EpochDone, StepDone, Trainer
from tinct.training.options import TrainConfig
from tinct.training.pictures import Pictures

SHEET_PICTURES = 8


@dataclass(frozen=True)
class Saved:
    """A file of the run was written."""

    path: Path


Record = StepDone | EpochDone | Saved


class Run:
    """One training run in its folder. Make one with `new` or `resumed`; then iterate `train`, which alone writes."""

    def __init__(self, folder: Path, data: Path, config: TrainConfig) -> None:
        self.folder, self.data, self.config = folder, data, config
        self.pictures = Pictures.open(data, config.training)
        torch.manual_seed(config.training.seed)
        family = FAMILIES[config.family]
        self.model = family.build(config.model)
        self.pictures.check_size(self.model)
        players = family.objectives(self.model, len(self.pictures.train.names))
        self.trainer = Trainer(self.model, players, *self.pictures.feeds(config.training), config.training)
        self.mean_cbcr = self.pictures.mean_cbcr()
        self.hours_before = 0.0  # spent by the run before it was resumed
        self.base: dict[str, Any] = {}  # header of the weights it started from
        self.written = 0  # the last epoch whose files are all there
        self._started = time.monotonic()

    @classmethod
    def new(cls, folder: Path, data: Path, config: TrainConfig, base: str | None = None) -> Run:
        """A run from the start, or from the weights of the model `base`, whose shape it must have."""
        run = cls(folder, data, config)
        if base is not None:
            state, header = zoo.load_weights(zoo.find(base))
            _load_base(run.model, state, base)
            run.base = {**header, "name": base}
            run.trainer.ema.average.load_state_dict(run.model.state_dict())
        return run

    @classmethod
    def resumed(cls, folder: Path, data: Path, assignments: Sequence[str]) -> Run:
        """The run of a folder, where it was broken off, with its own config and the options of `assignments` laid over."""
        path = newest(folder)
        checkpoint = weights.load_checkpoint(path)
        if not {"facts", "progress", "optimizer_state_dict"} <= checkpoint.keys():
            raise WeightsError(f"{path}: no training can go on from it; start from its weights with --from {path}")
        saved = {key: checkpoint["config"][key] for key in ("family", "model", "training")}
        config = from_dict(TrainConfig, override(TrainConfig, saved, assignments))
        _check_same_split(from_dict(TrainConfig, saved), config)
        run = cls(folder, data, config)
        if checkpoint["facts"]["data"]["fingerprint"] != run.pictures.train.fingerprint:
            raise DataError(
                f"{data}: not the pictures that '{folder.name}' was trained on so far. Train under another name."
            )
        try:
            run.trainer.load_state(checkpoint, saved["training"]["batch_size"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise WeightsError(f"{path}: of another architecture than the options ask for ({error})") from None
        run.hours_before, run.base = checkpoint["facts"]["hours"], checkpoint["facts"].get("base", {})
        run.written = checkpoint["written"] if path.name == LAST else checkpoint["epoch"] - 1
        return run

    @property
    def pending(self) -> bool:
        """Whether the last epoch that was trained still lacks some of its files."""
        history = self.trainer.progress.history
        return bool(history) and history[-1]["epoch"] > self.written

    @property
    def stopped_early(self) -> bool:
        """Whether patience is at its end."""
        patience = self.config.training.patience
        return bool(patience) and self.trainer.progress.waiting >= patience

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do: the last epoch is done, or patience at its end, and all is written."""
        over = self.trainer.progress.epoch > self.config.training.epochs or self.stopped_early
        return over and not self.pending

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
        progress, pictures, feed = self.trainer.progress, self.pictures, self.trainer.feed
        steps = (progress.epoch - 1) * len(feed) + progress.step
        hours = self.hours_before + (time.monotonic() - self._started) / 3600
        facts: dict[str, Any] = {
            "name": self.folder.name,
            "version": __version__,
            "data": {
                "name": self.data.name,
                "pictures": len(pictures.train_indices),
                "fingerprint": pictures.train.fingerprint,
            },
            "steps": steps,
            "pictures_seen": steps * feed.pictures_per_step,
            "hours": round(hours, 4),
            "mean_cbcr": self.mean_cbcr,
        }
        return {**facts, "base": self.base} if self.base else facts

    def train(self) -> Generator[Record, None, None]:
        """Trains to the end and writes what a run writes. Interrupted or stopped, it first saves where it is."""
        sweep(self.folder, older_than=0)  # what a run that was killed in the middle of writing left
        write_json(self.folder / CONFIG, self.described())
        try:
            if self.pending:
                yield from self._write_epoch()
            if not self.finished:
                yield from self._train()
        except (KeyboardInterrupt, GeneratorExit):
            self.save(LAST)
            raise

    def _train(self) -> Iterator[Record]:
        saved = time.monotonic()
        for record in self.trainer.run():
            yield record
            if isinstance(record, EpochDone):
                yield from self._write_epoch()
                saved = time.monotonic()
            elif time.monotonic() - saved > 60 * self.config.training.checkpoint_minutes:
                yield Saved(self.save(LAST))
                saved = time.monotonic()

    def save(self, name: str) -> Path:
        """Writes a checkpoint that holds everything, under the published names of its parts and our own."""
        history = self.trainer.progress.history
        last = history[-1] if history else {"epoch": 0, "train_loss": None, "val_loss": None}
        checkpoint = {
            "epoch": last["epoch"],
            "train_loss": last["train_loss"],
            "val_loss": last["val_loss"],
            "best_val_loss": self.trainer.progress.best,
            "loss_state_dict": {
                "mse_weight": 1.0,
                "perceptual_weight": 0.0,
                "adversarial_weight": 0.0,
                "use_gan": False,
                "discriminator_state_dict": None,
                "discriminator_optimizer_state_dict": None,
            },
            "config": self.described(),
            "facts": self.facts(),
            "written": self.written if name == LAST else last["epoch"],
            **self.trainer.state(),
        }
        path = self.folder / name
        with replacing(path, sync=True) as temporary:
            torch.save(checkpoint, temporary)
        return path

    def _write_epoch(self) -> Iterator[Saved]:
        """The files of the last epoch of the history. `last.pth` comes last: then everything else is there."""
        folder, options, history = self.folder, self.config.training, self.trainer.progress.history
        epoch = history[-1]["epoch"]
        checkpoint = epoch_checkpoint(folder, epoch)
        yield Saved(self.save(checkpoint.name))
        if not self.trainer.progress.waiting:
            link(checkpoint, folder / BEST)
        if epoch % options.sample_every == 0 or epoch == options.epochs or self.stopped_early:
            yield Saved(self.sample_sheet(folder / f"samples_epoch_{epoch}.png"))
        write_json(folder / "training_history.json", history)
        figures.loss_curve(history, folder / "loss_curve.png")
        link(checkpoint, folder / LAST)
        self.written = epoch
        for old in epoch_checkpoints(folder)[: -options.keep]:
            old.unlink()

    @torch.no_grad()
    def sample_sheet(self, path: Path) -> Path:
        """Gray, truth and one sample of the averaged weights for some pictures that were not trained on, if there are any."""
        rgb, model = self.pictures.shown(SHEET_PICTURES), self.trainer.ema.average
        gray = luma(rgb)
        levels = gray.float().to(next(model.parameters()).device)
        *_, last = model.sample(levels, generators=generators_for(range(len(rgb))))
        chroma = model.cbcr(last.x_0, levels).cpu()
        chroma = torch.nn.functional.interpolate(chroma, gray.shape[-2:], mode="bicubic")
        columns = {"gray": gray.expand(-1, 3, -1, -1), "sample": compose(gray, chroma), "truth": rgb}
        figures.sheet({name: _arrays(value) for name, value in columns.items()}, path, scale=2)
        return path


def _arrays(pictures: torch.Tensor) -> list[NDArray[np.uint8]]:
    return list(pictures.to(torch.uint8).permute(0, 2, 3, 1).numpy())


def _load_base(model: Colorizer, state: dict[str, torch.Tensor], base: str) -> None:
    try:
        model.load_state_dict(state)
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
