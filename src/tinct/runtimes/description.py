"""What stands beside the graphs of an export: all that a program needs besides to colour as tinct does, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tinct import __version__
from tinct.color import ColorSpace
from tinct.diffusion import SAMPLERS, ladder, own_spacing
from tinct.errors import ConfigError
from tinct.families import COARSE_CELLS, FEW, HARDLY_SEEN, Colorizer, Diffusing, Model
from tinct.level import Level
from tinct.nets import Denoiser
from tinct.photo.colouring import LONGEST
from tinct.photo.prints import numbers
from tinct.runtimes.graphs import Graph

NAME, FORMAT, VERSION = "colorizer.json", "tinct-onnx", 4
COUNTS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 25, 30, 40, 50, 100)  # steps whose levels are listed, with the default


def network_of(model: Model) -> tuple[Colorizer, Denoiser]:
    """The model and its denoiser, if it can be exported; ConfigError says why another can't."""
    network = getattr(model, "network", None)
    if not isinstance(model, Colorizer):
        raise _refused(model, "it does not colour, and what is exported is made for photographs")
    if not isinstance(model, Diffusing) or not isinstance(network, Denoiser):
        raise _refused(model, "it does not sample by diffusion, so it has neither denoiser nor ladder of levels")
    if model.options.classes:
        raise _refused(model, "it is conditioned on classes, which a photograph to colour does not have")
    return model, network


def _refused(model: Model, reason: str) -> ConfigError:
    return ConfigError(f"the model '{model.name}' can't be exported: {reason}. The bundled 'photo' can")


def described(model: Colorizer, graphs: Sequence[Graph], precision: str) -> dict[str, Any]:
    """Everything but the files, which are named when they are written. docs/onnx.md says what each entry means."""
    encoder, _, likeness = graphs
    network: Any = model.network
    return {
        "format": FORMAT,
        "version": VERSION,
        "tinct": __version__,
        "name": model.name,
        "precision": precision,
        "files": {},
        "encoder": {"features": len(likeness.inputs), "mean": encoder.mean},
        "picture": {
            "size": model.working_size, "multiple": network.multiple, "reduction": network.reduction,
            "longest": LONGEST, **numbers(),
        },
        "colour": _colour(model.space, model.options.space),
        "walk": _walk(model, network),
        "header": model.header,
    }  # fmt: skip


def _walk(model: Colorizer, network: Denoiser) -> dict[str, Any]:
    assert isinstance(model, Diffusing)
    options, schedule = model.options, model.schedule
    counts = sorted({options.steps, *(count for count in COUNTS if count <= len(schedule))})
    spacings = {sampler: spacing for sampler in SAMPLERS if (spacing := own_spacing(sampler))}
    ladders = {
        spacing: {str(count): [_numbers(level) for level in ladder(schedule, spacing, count)] for count in counts}
        for spacing in dict.fromkeys([options.spacing, *spacings.values()])
    }
    return {
        "target": options.target,
        "sampler": options.sampler,
        "spacing": options.spacing,
        "spacings": spacings,
        "steps": options.steps,
        "jumps": FEW if network.jumps else 0,
        "draws": model.draws,
        "anchor": model.anchor,
        "coarse_cells": COARSE_CELLS,
        "mean_level": _numbers(schedule.at_ratio(HARDLY_SEEN)),
        "ladders": ladders,
        "schedule": {"name": options.schedule, "alpha_bar": schedule.alpha_bar.tolist()},
    }


def _numbers(level: Level) -> list[float]:
    return [level.t, level.alpha, level.sigma]


def _colour(space: ColorSpace, name: str) -> dict[str, Any]:
    """What colour in network units means; `cbcr` is None for a space whose chroma is no affine function of it."""
    black, white = (space.encode(torch.full((1, 3, 1, 1), level)).flatten() for level in (0.0, 255.0))
    return {
        "space": name,
        "channels": space.channels,
        "limit": space.limit,
        "neutral": {"gain": ((white - black) / 255).tolist(), "offset": black.tolist()},
        "cbcr": affine_chroma(space),
    }


def affine_chroma(space: ColorSpace) -> Mapping[str, Any] | None:
    """Matrix (2, C) and offset (2,) with cbcr = matrix x + offset for every |x| up to the limit; None if there are none."""
    count = space.channels

    def chroma(x: Tensor, levels: Tensor) -> Tensor:  # (N, C), (N,) -> (N, 2)
        return space.cbcr(x[:, :, None, None].float(), levels.view(-1, 1, 1, 1))[:, :, 0, 0].double()

    offset = chroma(torch.zeros(1, count), torch.full((1,), 128.0))[0]
    matrix = (chroma(torch.eye(count), torch.full((count,), 128.0)) - offset).T
    generator = torch.Generator().manual_seed(0)
    x = (2 * torch.rand(64, count, generator=generator) - 1) * space.limit
    found = chroma(x, 255 * torch.rand(64, generator=generator))
    if not torch.allclose(x.double() @ matrix.T + offset, found, atol=1e-3):  # levels
        return None
    return {"matrix": matrix.tolist(), "offset": offset.tolist()}
