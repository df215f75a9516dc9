"""`--runtime`: what a model's networks run in, and loading a model for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from tinct.cli.common import errors
from tinct.devices import chosen_device
from tinct.families import Model
from tinct.runtimes import RUNTIMES, Exported, device_for

F = TypeVar("F", bound=Callable[..., Any])


def runtime_option(function: F) -> F:
    """Decorator: `--runtime`, for `loaded`."""
    text = f"What the model runs in: {', '.join(RUNTIMES)} (takes tinct[onnx])."
    return click.option("--runtime", metavar="NAME", default="torch", show_default=True, help=text)(function)


def loaded(name: str, runtime: str, device: str) -> tuple[Model, str]:
    """The model, and the device that it is to be brought to; says where an export was put that had to be made first."""
    place = device_for(runtime, device)
    for record in RUNTIMES[runtime].load(name):
        if isinstance(record, Exported):
            errors.print(f"note    {name}: exported to {record.folder} for the next times too", markup=False)
    assert isinstance(record, Model)
    return record, device if chosen_device(device) == place else place
