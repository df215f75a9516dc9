"""A denoiser as ONNX graphs: what sees the photograph once, what sees every step, and what tells cells apart for hints.

A network without an encoder hands its photograph through; then the first graph does so too.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tinct.errors import ConfigError
from tinct.level import Level
from tinct.nets import Denoiser
from tinct.nets.base import Features

OPSET = 20  # the lowest that has every operation as it is meant: onnxruntime 1.17 and newer read it
LEVEL = ("t", "alpha", "sigma", "jump")  # inputs of the denoiser, (B,) each, as far as it looks at them
_SIDES = (3, 5)  # times `multiple`, of the photograph that is traced: unlike, and no side of any layer is 1


def level_inputs(level: Level) -> dict[str, Tensor]:
    """A level's parts as the denoiser takes them, by name."""
    return {name: getattr(level, name).flatten() for name in LEVEL}


@dataclass(frozen=True)
class Graph:
    """A module with example inputs by name, and the names of its outputs; which of them is the mean colour, if one is."""

    name: str
    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]
    mean: int | None = None


class _Encoding(nn.Module):
    """What depends on the photograph alone; the mean comes last where it is none of the features."""

    def __init__(self, network: Denoiser, mean_apart: bool) -> None:
        super().__init__()
        self.network, self.mean_apart = network, mean_apart

    def forward(self, gray: Tensor) -> tuple[Tensor, ...]:
        features = tuple(feature.clone() if feature is gray else feature for feature in self.network.encode(gray))
        mean = self.network.mean(features) if self.mean_apart else None
        return features if mean is None else (*features, mean)


class _Denoising(nn.Module):
    """One step's prediction; the parts of the level are (B,)."""

    def __init__(self, network: Denoiser) -> None:
        super().__init__()
        self.network = network

    def forward(self, x_t: Tensor, t: Tensor, alpha: Tensor, sigma: Tensor, jump: Tensor, features: Features) -> Tensor:
        level = Level(*(part.view(-1, 1, 1, 1) for part in (t, alpha, sigma, jump)))
        return self.network(x_t, level, features)  # type: ignore[no-any-return]


class _Likeness(nn.Module):
    def __init__(self, network: Denoiser) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Features) -> Tensor:
        return self.network.likeness(features)


def examples(network: Denoiser, channels: int, batch: int, sides: tuple[int, int], seed: int = 0) -> dict[str, Tensor]:
    """Inputs of all graphs by name, for x_t of so many channels and photographs of `sides` times the network's `multiple`."""
    generator = torch.Generator().manual_seed(seed)
    height, width = (network.multiple * side for side in sides)
    gray = torch.rand(batch, 1, height, width, generator=generator) * 2 - 1
    with torch.no_grad():
        features = {f"feature_{index}": feature for index, feature in enumerate(network.encode(gray))}
    ratio = torch.logspace(0.5, -0.5, batch)
    alpha = (1 + ratio.square()).rsqrt()
    h, w = height // network.reduction, width // network.reduction
    x_t = torch.randn(batch, channels, h, w, generator=generator)
    jump = torch.arange(batch) % 2.0
    level = dict(zip(LEVEL, (torch.linspace(90, 10, batch), alpha, ratio * alpha, jump), strict=True))
    return {"gray": gray, "x_t": x_t, **level, **features}


def graphs_of(network: Denoiser, channels: int) -> tuple[Graph, Graph, Graph]:
    """Encoder, denoiser and likeness of a network whose x_t has so many channels."""
    inputs = examples(network, channels, 2, _SIDES)
    features = {name: value for name, value in inputs.items() if name.startswith("feature_")}
    denoised = {name: value for name, value in inputs.items() if name != "gray"}
    with torch.no_grad():
        mean = network.mean(tuple(features.values()))
    names = [name for name, feature in features.items() if feature is mean]
    place = None if mean is None else list(features).index(names[0]) if names else len(features)
    apart = place == len(features)
    encoded = (*features, "mean") if apart else tuple(features)
    return (
        Graph("encoder", _Encoding(network, apart), {"gray": inputs["gray"]}, encoded, place),
        Graph("denoiser", _Denoising(network), denoised, ("prediction",)),
        Graph("likeness", _Likeness(network), features, ("likeness",)),
    )


def arguments(graph: Graph, inputs: Mapping[str, Tensor]) -> tuple[Any, ...]:
    """The inputs as the graph's module takes them: features together."""
    chosen = {name: inputs[name] for name in graph.inputs}
    features = tuple(value for name, value in chosen.items() if name.startswith("feature_"))
    others = tuple(value for name, value in chosen.items() if not name.startswith("feature_"))
    return (*others, features) if features else others


def traced(graph: Graph) -> Any:
    """The graph as an ONNX model, for every batch, height and width; ConfigError for a module that can't be traced."""
    rows, columns, batch = (torch.export.Dim(name) for name in ("rows", "columns", "batch"))

    def free(value: Tensor) -> dict[int, Any]:
        """Its dimensions that may change: batch, and sides as multiples of those of the smallest features."""
        if value.dim() != 4:
            return {0: batch}
        down, across = (side // of for side, of in zip(value.shape[-2:], _SIDES, strict=True))
        return {0: batch, 2: down * rows, 3: across * columns}

    given = arguments(graph, graph.inputs)
    shapes = tuple(tuple(map(free, part)) if isinstance(part, tuple) else free(part) for part in given)
    try:
        with quiet():
            program = torch.onnx.export(
                graph.module.eval(), given, dynamo=True, dynamic_shapes=shapes, opset_version=OPSET, optimize=True,
                input_names=list(graph.inputs), output_names=list(graph.outputs), verbose=False,
            )  # fmt: skip
    except torch.onnx.OnnxExporterError as error:
        raise ConfigError(f"its {graph.name} can't be written as ONNX: {_reason(error)}") from None
    return _bare(program.model_proto)  # type: ignore[union-attr]


def _bare(model: Any) -> Any:
    """Without what the exporter notes of its source: paths of this machine, half a megabyte."""
    for part in (
        model,
        model.graph,
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
    ):
        part.ClearField("doc_string")
        if hasattr(part, "metadata_props"):
            part.ClearField("metadata_props")
    for tensor in model.graph.initializer:
        tensor.ClearField("metadata_props")
    return model


def _reason(error: BaseException) -> str:
    """The first line of what the exporter stumbled over."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of exporter and quantizer, which are about packages that are not used and about their own code."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)


def agreement(graph: Graph, inputs: Mapping[str, Tensor], outputs: Sequence[Tensor]) -> float:
    """The largest difference of outputs to those of the graph's module for the same inputs, as a share of its largest value."""
    with torch.no_grad():
        wanted = graph.module(*arguments(graph, inputs))
    pairs = zip(wanted if isinstance(wanted, tuple) else (wanted,), outputs, strict=True)
    differences = [float((got - value).abs().max() / value.abs().max().clamp_min(1e-6)) for value, got in pairs]
    return max(differences)
