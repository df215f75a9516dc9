"""Which device a name means, the same for every command."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tinct.errors import ConfigError, unknown


def chosen_device(name: str, best: Sequence[str] = ("cuda", "mps", "cpu")) -> str:
    """The device that `name` means, "auto" the first of `best` that is there; ConfigError when this machine has none."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device in best if there[device])
    kind = name.partition(":")[0]
    if kind not in there:
        raise unknown("device", name, [*there, "auto"])
    if not there[kind]:
        available = ", ".join(device for device, present in there.items() if present)
        raise ConfigError(f"device {name}: this machine has none that torch can use. Available: {available}.")
    return name
