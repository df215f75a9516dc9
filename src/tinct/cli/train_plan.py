"""What somebody asked to be trained, by flags or in the dialogue, and the run that comes of it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tinct import recipes, zoo
from tinct.cli.downloads import show_downloads
from tinct.config import from_dict, merge, override
from tinct.data.dataset import PreparedSet
from tinct.errors import ConfigError, WeightsError
from tinct.nets import features
from tinct.training.folder import (
    data_folder,
    epoch_checkpoint,
    epoch_checkpoints,
    run_folder,
    stored_config,
)
from tinct.training.options import TrainConfig
from tinct.training.run import Run


@dataclass(frozen=True)
class Plan:
    """A training: one that goes on (from `checkpoint`, else from its newest), or one that starts anew."""

    name: str
    data: str
    goes_on: bool = False
    checkpoint: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict)  # of a new one: recipe and the shape of `base`
    changes: Sequence[str] = ()  # NAME=VALUE, laid over them, or over what the run that goes on has
    base: str | None = None  # model whose weights a new one starts from
    feature_weights: Path | None = None

    @property
    def folder(self) -> Path:
        """Where the run is, or will be."""
        return run_folder(self.name)

    def make(self) -> Run:
        """The run; nothing is written yet."""
        data = data_folder(self.data)
        if self.feature_weights and not self.feature_weights.exists():
            raise ConfigError(f"--feature-weights {self.feature_weights}: not found")
        config = self._config(data)
        tuned = getattr(config.loss, "consistency_gap", 0) or getattr(config.loss, "endpoint", 0)
        if tuned and not (self.base or self.goes_on):
            raise ConfigError("consistency_gap, endpoint: they tune a trained model. Say which with --from MODEL")
        self._obtain_features(config)
        if self.goes_on:
            return Run.resumed(self.folder, data, self.changes, self.checkpoint, self.feature_weights)
        return Run.new(self.folder, data, config, self.base, self.feature_weights)

    def _config(self, data: Path) -> TrainConfig:
        if self.goes_on:
            return from_dict(TrainConfig, override(TrainConfig, stored_settings(self.folder), self.changes))
        return configured(data, self.values, self.changes)

    def _obtain_features(self, config: TrainConfig) -> None:
        """Downloads what the losses look through, with a bar; an option that could have no effect is an error."""
        networks = config.loss.feature_networks()
        if self.feature_weights and not networks:
            raise ConfigError(
                "--feature-weights: no loss of this training looks through a feature network. "
                "Add --perceptual-weight 0.1, or leave it away."
            )
        for network in networks:
            with contextlib.suppress(features.NotAvailable):  # the loss says which other networks there are
                show_downloads(features.obtain(network, self.feature_weights))


def configured(data: Path, values: Mapping[str, Any], changes: Sequence[str]) -> TrainConfig:
    """Defaults, settings, flags: each laid over those before. The size is the set's unless somebody chose one."""
    chosen = override(TrainConfig, values, changes)
    if "size" not in chosen.get("model", {}):
        height, width = PreparedSet.open(data, "train").rgb.shape[1:3]
        chosen = merge(chosen, {"model": {"size": min(height, width)}})
    return from_dict(TrainConfig, chosen)


def settings(recipe: str | None, base: str | None) -> dict[str, Any]:
    """The shape of the model `base` with the recipe laid over it. Jumps are kept by a recipe that teaches them alone."""
    values: dict[str, Any] = {}
    if base is not None:
        header = zoo.load_weights(zoo.find(base))[1]
        values = {key: header[key] for key in ("family", "model") if key in header}
    values = merge(values, recipes.load(recipe) if recipe else {})
    return values if values.get("loss", {}).get("endpoint") else _without_jumps(values)


def _without_jumps(values: dict[str, Any]) -> dict[str, Any]:
    """What the base knew of jumps would be out of date: the model walks by its family's usual number of steps."""
    model = values.get("model", {})
    if not model.get("network", {}).get("jumps"):
        return values
    kept = {name: value for name, value in model.items() if name != "steps"}
    return {**values, "model": merge(kept, {"network": {"jumps": False}})}


def stored_settings(folder: Path) -> dict[str, Any]:
    """The settings of a run, as its config.json has them."""
    config = stored_config(folder)
    return {item.name: config[item.name] for item in fields(TrainConfig) if item.name in config}


def checkpoint_of(folder: Path, text: str) -> Path:
    """The checkpoint that an epoch's number, a file's name in the run's folder, or a path means."""
    if text.isdecimal():
        path = epoch_checkpoint(folder, int(text))
        if not path.is_file():
            there = ", ".join(other.stem.rpartition("_")[2] for other in epoch_checkpoints(folder))
            raise WeightsError(f"{path}: no such checkpoint. Epochs of {folder.name} that are kept: {there or 'none'}.")
        return path
    for path in (folder / text, Path(text)):
        if path.is_file():
            return path
    raise WeightsError(f"{text}: no such checkpoint. Say the number of an epoch, or a file.")
