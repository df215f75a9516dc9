"""What the networks of a model run in: torch, or onnxruntime from graphs that were exported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tinct import zoo
from tinct.devices import chosen_device
from tinct.errors import ConfigError
from tinct.families import Model
from tinct.runtimes.base import RUNTIMES, Runtime
from tinct.runtimes.exporting import Exported, Written, check_place, export
from tinct.runtimes.opening import is_export, on_first_use, opened
from tinct.runtimes.precision import PRECISIONS

__all__ = ["PRECISIONS", "RUNTIMES", "Exported", "Runtime", "Written", "check_place", "device_for", "export", "load"]


def load(name: str, runtime: str) -> Model:
    """The model of a name, run folder or weights file, or of an export's folder, ready for use in that runtime."""
    *_, model = RUNTIMES[runtime].load(name)
    assert isinstance(model, Model)
    return model


def device_for(runtime: str, device: str) -> str:
    """The device that a name means for a runtime; ConfigError for one that it can't use."""
    devices = RUNTIMES[runtime].devices
    place = chosen_device(device, devices)
    if place.partition(":")[0] not in devices:
        raise ConfigError(f"device {device}: the runtime {runtime} runs on {', '.join(devices)}. Leave device away")
    return place


def _in_torch(name: str) -> Iterator[Written | Exported | Model]:
    if is_export(Path(name)):
        raise ConfigError(f"model {name}: is an export for onnxruntime. Add --runtime onnx")
    yield zoo.load(name)


def _in_onnxruntime(name: str) -> Iterator[Written | Exported | Model]:
    if is_export(Path(name)):
        yield opened(Path(name))
    else:
        yield from on_first_use(name)


RUNTIMES.add("torch")(Runtime(_in_torch, ("cuda", "mps", "cpu")))
RUNTIMES.add("onnx")(Runtime(_in_onnxruntime, ("cpu",)))
