"""A training run and its folder models/<name>/: config, history, checkpoints, curve, sample sheets; and how to go on.

Everything is written under a temporary name and renamed, so a run that is killed at any instant goes on from `last.pth`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tinct import __version__, figures, weights, zoo
from tinct.color import compose, luma, rgb_to_cbcr
from tinct.config import from_dict, override, to_dict
from tinct.data.dataset import PreparedSet
from tinct.errors import ConfigError, DataError, OutputError, WeightsError
from tinct.families import FAMILIES, Colorizer, generators_for
from tinct.files import read_json, replacing, workspace, write_json
from tinct.training.feed import Feed
from tinct.training.loop import EpochDone, StepDone, Trainer
from tinct.training.options import TrainConfig

SHEET_PICTURES = 8


@dataclass(frozen=True)
class Saved:
    """A file of the run was written."""

    path: Path


Record = StepDone | EpochDone | Saved


@dataclass(frozen=True)
class Pictures:
    """What a run trains and validates on."""

    train: PreparedSet
    validation: PreparedSet
    train_indices: NDArray[np.int64]
    validation_indices: NDArray[np.int64]
    held_out: bool  # validation is part of train, as the set has no val part

    @classmethod
    def open(cls, folder: Path, config: TrainConfig) -> Pictures:
        """Opens a prepared set. Without a val part, a seeded share of train is held out; test is never touched."""
        options, train = config.training, PreparedSet.open(folder, "train")
        if (folder / "val.npz").exists() or (folder / "val.rgb.npy").exists():
            validation = PreparedSet.open(folder, "val")
            return cls(train, validation, np.arange(len(train)), _some(np.arange(len(validation)), options), False)
        kept, held = train.split_off(options.validation_fraction, options.seed)
        return cls(train, train, np.sort(kept), _some(held, options), True)

    def feeds(self, config: TrainConfig) -> tuple[Feed, Feed | None]:
        """The feeds of training and validation."""
        options = config.training
        train = Feed(self.train, self.train_indices, options.batch_size, options.seed, options.augment)
        if not len(self.validation_indices):
            return train, None
        return train, Feed(self.validation, self.validation_indices, options.batch_size, options.seed)


def _some(indices: NDArray[np.int64], options: Any) -> NDArray[np.int64]:
    """The first `validation_limit` of the indices in a seeded order, so that every category has its chance."""
    shuffled = np.random.default_rng(options.seed).permutation(indices)
    return np.sort(shuffled[: options.validation_limit or None])


class Run:
    """One training run in its folder. Make one with `new` or `resumed`; then iterate `train`."""

    def __init__(self, folder: Path, data: Path, config: TrainConfig) -> None:
        self.folder, self.data, self.config = folder, data, config
        self.pictures = Pictures.open(data, config)
        _check_size(self.pictures.train, config)
        torch.manual_seed(config.training.seed)
        self.family = FAMILIES[config.family]
        self.model = self.family.build(config.model)
        players = self.family.objectives(self.model, len(self.pictures.train.names))
        self.trainer = Trainer(self.model, players, *self.pictures.feeds(config), config.training)
        some = self.pictures.train.__getitems__(self.pictures.train_indices[:2048].tolist())[0]
        self.mean_cbcr = rgb_to_cbcr(some.float()).mean(dim=(0, 2, 3)).tolist()  # levels: the plainest baseline
        self.hours_before = 0.0  # spent by the run before it was resumed
        self.base: dict[str, Any] = {}  # header of the weights it started from
        self._started = time.monotonic()

    @classmethod
    def new(cls, folder: Path, data: Path, config: TrainConfig, base: str | None = None) -> Run:
        """A run from the start, or from the weights of the model `base`, whose shape it must have."""
        run = cls(folder, data, config)
        if base is not None:
            state, run.base = zoo.load_weights(zoo.find(base))
            _load_base(run.model, state, base)
            run.trainer.ema.average.load_state_dict(run.model.state_dict())
        write_json(folder / "config.json", run.described())
        return run

    @classmethod
    def resumed(cls, folder: Path, data: Path, assignments: Sequence[str]) -> Run:
        """The run of a folder, where it was broken off, with its own config and the options of `assignments` laid over."""
        checkpoint = weights.load_checkpoint(_newest(folder))
        saved = {key: checkpoint["config"][key] for key in ("family", "model", "training")}
        run = cls(folder, data, from_dict(TrainConfig, override(TrainConfig, saved, assignments)))
        if checkpoint["facts"]["data"]["fingerprint"] != run.pictures.train.fingerprint:
            raise DataError(
                f"{data}: not the pictures that '{folder.name}' was trained on so far. Train under another name."
            )
        try:
            run.trainer.load_state(checkpoint)
        except (RuntimeError, ValueError, KeyError) as error:
            raise WeightsError(f"{folder}: its checkpoint is of another architecture ({error})") from None
        run.hours_before, run.base = checkpoint["facts"]["hours"], checkpoint["facts"].get("base", {})
        write_json(folder / "config.json", run.described())
        return run

    @property
    def finished(self) -> bool:
        """Whether the last epoch is done, or patience was at its end."""
        progress, options = self.trainer.progress, self.config.training
        patient = not options.patience or progress.waiting < options.patience
        return progress.epoch > options.epochs or not patient

    def described(self) -> dict[str, Any]:
        """The whole configuration, as config.json holds it."""
        return {"name": self.folder.name, "data": self.data.name, "version": __version__, **to_dict(self.config)}

    def facts(self) -> dict[str, Any]:
        """What weights of this run say of themselves."""
        progress, pictures = self.trainer.progress, self.pictures
        steps = (progress.epoch - 1) * len(self.trainer.feed) + progress.step
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
            "pictures_seen": steps * self.config.training.batch_size,
            "hours": round(hours, 4),
            "mean_cbcr": self.mean_cbcr,
        }
        return {**facts, "base": self.base} if self.base else facts

    def train(self) -> Iterator[Record]:
        """Trains to the end and writes what a run writes. Interrupted or stopped, it first saves where it is."""
        saved = time.monotonic()
        try:
            for record in self.trainer.run():
                yield record
                if isinstance(record, EpochDone):
                    yield from self._write_epoch(record)
                    saved = time.monotonic()
                elif time.monotonic() - saved > 60 * self.config.training.checkpoint_minutes:
                    yield Saved(self.save("last.pth"))
                    saved = time.monotonic()
        except (KeyboardInterrupt, GeneratorExit):
            self.save("last.pth")
            raise

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
            **self.trainer.state(),
        }
        path = self.folder / name
        with replacing(path, sync=True) as temporary:
            torch.save(checkpoint, temporary)
        return path

    def _write_epoch(self, done: EpochDone) -> Iterator[Saved]:
        """The files of an epoch that is done. `last.pth` comes last: what it counts as done is written."""
        folder, options = self.folder, self.config.training
        yield Saved(self.save(f"checkpoint_epoch_{done.epoch}.pth"))
        if done.best:
            _link(folder / f"checkpoint_epoch_{done.epoch}.pth", folder / "best_model.pth")
        if done.epoch % options.sample_every == 0 or done.epoch == options.epochs or done.stopped:
            yield Saved(self.sample_sheet(folder / f"samples_epoch_{done.epoch}.png"))
        write_json(folder / "training_history.json", self.trainer.progress.history)
        figures.loss_curve(self.trainer.progress.history, folder / "loss_curve.png")
        _link(folder / f"checkpoint_epoch_{done.epoch}.pth", folder / "last.pth")
        for old in _checkpoints(folder)[: -options.keep]:
            old.unlink()

    @torch.no_grad()
    def sample_sheet(self, path: Path) -> Path:
        """Gray, truth and one sample of the averaged weights for some validation pictures (training ones if there are none)."""
        pictures = self.pictures
        held = pictures.validation_indices if len(pictures.validation_indices) else pictures.train_indices
        rgb = pictures.validation.__getitems__(held[:SHEET_PICTURES].tolist())[0]
        gray, model = luma(rgb), self.trainer.ema.average
        device = next(model.parameters()).device
        *_, last = model.sample(gray.float().to(device), generators=generators_for(range(len(rgb))))
        chroma = model.cbcr(last.x_0, gray.float().to(device)).cpu()
        chroma = torch.nn.functional.interpolate(chroma, gray.shape[-2:], mode="bicubic")
        columns = {"gray": gray.expand(-1, 3, -1, -1), "sample": compose(gray, chroma), "truth": rgb}
        figures.sheet({name: _arrays(value) for name, value in columns.items()}, path, scale=2)
        return path


def _arrays(pictures: torch.Tensor) -> list[NDArray[np.uint8]]:
    return list(pictures.to(torch.uint8).permute(0, 2, 3, 1).numpy())


def run_folder(name: str) -> Path:
    """Where a run of that name lives."""
    return workspace() / "models" / name


def data_folder(name: str) -> Path:
    """Where a prepared set of that name lives; DataError names what there is."""
    folder = workspace() / "npzData" / name
    if not folder.is_dir():
        there = sorted(path.name for path in folder.parent.glob("*/")) if folder.parent.is_dir() else []
        raise DataError(
            f"{folder}: no such prepared set. There are: {', '.join(there) or 'none'}. See `tinct prepare`."
        )
    return folder


def clear(folder: Path) -> None:
    """Deletes a run's folder; OutputError when what is there is no run."""
    if folder.exists() and not (folder / "config.json").is_file():
        raise OutputError(f"{folder}: holds no training run, so it is not deleted. Choose another --name.")
    shutil.rmtree(folder, ignore_errors=True)


def stored_data(folder: Path) -> str:
    """The name of the prepared set that a run was trained on."""
    return str(read_json(folder / "config.json")["data"])


def has_checkpoint(folder: Path) -> bool:
    """Whether a run can go on."""
    return (folder / "last.pth").is_file() or bool(_checkpoints(folder))


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint_epoch_*.pth"), key=lambda path: int(path.stem.rpartition("_")[2]))


def _newest(folder: Path) -> Path:
    """The checkpoint to go on from: last.pth, unless an epoch checkpoint was written after it."""
    found = [path for path in (folder / "last.pth", *_checkpoints(folder)[-1:]) if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime_ns)


def _link(source: Path, target: Path) -> None:
    """Another name for a file, at no cost: checkpoints are replaced, never changed. A copy where links don't exist."""
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def _load_base(model: Colorizer, state: dict[str, torch.Tensor], base: str) -> None:
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(
            f"--from {base}: its weights are of another architecture than the options ask for. "
            f"Leave the options of the network away, and they are taken from it. ({str(error).splitlines()[0]})"
        ) from None


def _check_size(pictures: PreparedSet, config: TrainConfig) -> None:
    """The set's pictures must be of the size that the model is made for."""
    height, width = pictures.rgb.shape[1:3]
    if min(height, width) != config.model.size:
        raise ConfigError(
            f"the pictures of the set are {width}x{height} px, the model is for {config.model.size} px: "
            f"add --set size={min(height, width)}, or prepare the set with --size {config.model.size}"
        )
