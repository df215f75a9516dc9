"""Weights on disk: safetensors with a JSON header that says what they are. No code is ever loaded."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialized
from torch import Tensor

from tinct.errors import WeightsError
from tinct.files import replacing

_KEY = "tinct"  # of the header in the safetensors metadata


def save(path: Path, state: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Writes weights in float16 with their header, whole or not at all; the header gets their sha256."""
    tensors = {
        name: value.to(torch.float16 if value.is_floating_point() else value.dtype) for name, value in state.items()
    }
    tensors = {name: value.contiguous().cpu() for name, value in tensors.items()}
    full = {**header, "sha256": digest(tensors)}
    with replacing(path, sync=True) as temporary:
        temporary.write_bytes(serialized(tensors, {_KEY: json.dumps(full)}))


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """State (float32) and header of a weights file; WeightsError when it is missing, damaged or not tinct's."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file") from None
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: damaged or not a safetensors file ({error})") from None
    header = _header(metadata.get(_KEY, ""))
    if header is None:
        raise WeightsError(f"{path}: has no tinct header, so nothing says which model it is for")
    if header.get("sha256") != digest(tensors):
        raise WeightsError(f"{path}: damaged: its content does not have the checksum of its header. Get it again.")
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}, header


def _header(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The dictionary of a .pth checkpoint, tensors and plain values only; WeightsError when it can't be that."""
    try:
        with warnings.catch_warnings(action="ignore"):  # about pickles of other kinds: they are refused anyway
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such checkpoint") from None
    except Exception as error:  # the reader trips over damage in ways of every type
        raise WeightsError(f"{path}: damaged or not a checkpoint ({type(error).__name__})") from None
    if not isinstance(checkpoint, dict) or not {"model_state_dict", "config"} <= checkpoint.keys():
        raise WeightsError(f"{path}: not a tinct checkpoint: model_state_dict and config are missing")
    return checkpoint


def digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names and bytes, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(name.encode())
        total.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
