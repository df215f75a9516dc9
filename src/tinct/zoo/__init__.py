"""The zoo: names of models, bundled or the user's own, to models ready to use."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tinct import weights
from tinct.config import from_dict, override, to_dict
from tinct.errors import ConfigError, WeightsError, unknown
from tinct.families import FAMILIES, Classifier, Colorizer, Model, PictureGenerator
from tinct.files import workspace

BUNDLED = Path(__file__).parent
DEFAULTS = (
    "sampler",
    "spacing",
    "steps",
    "temperature",
    "draws",
    "anchor",
    "black_point",
)  # options on which no weight depends


def available() -> dict[str, Path]:
    """Every model by name: the user's own hide bundled ones of the same name."""
    bundled = {path.stem: path for path in sorted(BUNDLED.glob("*.safetensors"))}
    own = {path.parent.name: path for path in sorted(workspace().glob("models/*/best_model.pth"))}
    return {**bundled, **own}


def colorizer(model: Model) -> Colorizer:
    """The model itself, if it colours; ConfigError for another."""
    if not isinstance(model, Colorizer):
        raise ConfigError(
            f"the model '{model.name}' does not colour. Models that make pictures are for `tinct generate`"
        )
    return model


def generator(model: Model) -> PictureGenerator:
    """The model itself, if it makes pictures from noise; ConfigError for another."""
    if not isinstance(model, PictureGenerator):
        raise ConfigError(f"the model '{model.name}' makes no pictures. Models that colour are for `tinct colorize`")
    return model


def classifier(model: Model) -> Classifier:
    """The model itself, if it tells pictures apart; ConfigError for another."""
    if not isinstance(model, Classifier):
        raise ConfigError(
            f"the model '{model.name}' tells no pictures apart. A classifier comes from `tinct train --recipe digit-classifier`"
        )
    return model


def load(name: str) -> Model:
    """The model of a name, a run folder, a .safetensors or a .pth file, ready for use, on the CPU.

    Raises UnknownName with the nearest match, or WeightsError when the file is damaged or made for something else.
    """
    path = find(name)
    state, header = load_weights(path)
    model = build(header, path)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        count = len(str(error).splitlines()) - 1
        raise WeightsError(f"{path}: weights of another architecture than its header says: {count} don't fit") from None
    model.name, model.header = header.get("name", path.stem), header
    fast: Model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a tenth or more on a CPU
    return fast.eval().requires_grad_(False)


def find(name: str) -> Path:
    """The weights file that `name` means: a path, a run folder, or a name."""
    path = Path(name)
    if path.is_dir() and (path / "best_model.pth").is_file():
        return path / "best_model.pth"
    if path.suffix in (".safetensors", ".pth"):
        return path
    if name not in available():
        raise unknown("model", name, available())
    return available()[name]


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """State and header of a weights file or of a checkpoint, whose averaged weights are preferred."""
    if path.suffix != ".pth":
        return weights.load(path)
    checkpoint = weights.load_checkpoint(path)
    return checkpoint.get("ema_state_dict") or checkpoint["model_state_dict"], header_of(checkpoint)


def header_of(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """What a weights file says of itself, from a checkpoint."""
    config = checkpoint["config"]
    described = {key: config[key] for key in ("family", "model") if isinstance(config, Mapping) and key in config}
    return {
        "format": 1,
        **described,
        "epoch": checkpoint.get("epoch"),
        **_losses(checkpoint),
        **checkpoint.get("facts", {}),
    }


def _losses(checkpoint: Mapping[str, Any]) -> dict[str, float]:
    """Those after the epoch of these weights, where one was finished."""
    names = ("train_loss", "val_loss")
    return {name: checkpoint[name] for name in names if checkpoint.get(name) is not None}


def with_defaults(header: Mapping[str, Any], assignments: Sequence[str], path: Path) -> dict[str, Any]:
    """The header of a model that samples otherwise by default: `DEFAULTS` that its family has, each NAME=VALUE.

    UnknownName for another option, ConfigError for a value that is none; WeightsError where the header describes no model.
    """
    model: Any = build(header, path).options
    offered = [item.name for item in dataclasses.fields(model) if item.name in DEFAULTS]
    for name in (assignment.partition("=")[0].strip() for assignment in assignments):
        if name not in offered:
            raise unknown("default of sampling", name, offered)
    changed = {**header, "model": to_dict(from_dict(type(model), override(type(model), to_dict(model), assignments)))}
    build(changed, path)  # defaults that can't be walked are refused
    return changed


def build(header: Mapping[str, Any], path: Path) -> Model:
    """An untrained model of the header's family and options."""
    try:
        family = FAMILIES[str(header["family"])]
        model: Any = from_dict(family.Options, header["model"])
    except KeyError as error:
        raise WeightsError(f"{path}: says nothing of its {error.args[0]}, so it is no model of tinct") from None
    except ConfigError as error:
        raise WeightsError(f"{path}: its header describes no model that this version of tinct has: {error}") from None
    assert dataclasses.is_dataclass(model)
    return family.build(model)
