"""One photograph, or many small ones, from gray to colour at full resolution.

The model sees the photograph reduced to its working size and gives chroma there. The chroma is brought up to the
photograph's own size and joined with its own luma, strip by strip, so that converting back to gray gives the
photograph again, exactly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from tinct.color import compose
from tinct.config import option
from tinct.errors import ConfigError, WeightsError
from tinct.families import Colorizer, ColouringOptions, chosen_sampling, generators_for
from tinct.images import Samples
from tinct.photo.prints import everywhere, inside, stretched, unframed
from tinct.threads import on_one, side_by_side

Levels = npt.NDArray[np.float32]  # (h, w), gray levels 0..255
LONGEST = 4.0  # times the short side: beyond it the working picture is squeezed, or a 1 x 5000 strip would not fit
_BATCH_PIXELS = 2**18  # working pixels, over all draws, that go through the model at once
_ALONE_PIXELS = (
    2**16
)  # working pixels, over all draws, up to which one thread is quicker than several (docs/benchmarks.md)
_STRIP_PIXELS = 2**17  # the least time of a core of 2^13 to 2^20: the strip's planes are still in its cache


@dataclass(frozen=True)
class PhotoOptions(ColouringOptions):
    """How photographs are coloured; None is the model's own default."""

    draws: int | None = option(
        None, "samples drawn; the picture is the most typical of them (default: the model's)", low=1, high=64
    )
    size: int | None = option(None, "short side of what the model sees, px (default: the model's)", low=16, high=2048)
    seed: int = option(0, "another seed is another colouring", low=0, high=2**63 - 1)
    saturation: float = option(1.0, "strength of the colours: 0 none, 1 the model's own", low=0.0, high=4.0)
    stretch: bool = option(False, "show the model a faded photograph with its contrast stretched")


def colour(
    model: Colorizer,
    gray: Samples,
    *,
    seed: int | None = None,
    options: PhotoOptions | None = None,
    tone: npt.NDArray[np.float32] | None = None,
) -> Samples:
    """The photograph in colour: (H, W) uint8 or uint16 -> (H, W, 3) of that type, whose luma is `gray` at every pixel.

    `seed` overrides that of the options. `tone` are the sRGB levels (256,) that its profile shows for levels 0..255.
    """
    options = options or PhotoOptions()
    return colour_batch(model, [gray], [options.seed if seed is None else seed], options, tone=tone)[0]


def colour_batch(
    model: Colorizer,
    grays: Sequence[Samples],
    seeds: Sequence[int],
    options: PhotoOptions | None = None,
    *,
    tone: npt.NDArray[np.float32] | None = None,
) -> list[Samples]:
    """As `colour`, many at once: those of one working size go through the model together. One seed per picture."""
    options = options or PhotoOptions()
    size, alike = options.size or model.working_size, defaultdict[tuple[int, int], list[int]](list)
    for index, gray in enumerate(grays):
        alike[working_shape(gray.shape, size, model.multiple)].append(index)
    results: dict[int, Samples] = {}
    for shape, indices in alike.items():
        count = max(1, _BATCH_PIXELS // (shape[0] * shape[1] * (options.draws or model.draws)))
        for start in range(0, len(indices), count):
            batch = indices[start : start + count]
            seen = np.stack([view(grays[index], shape, tone, stretch=options.stretch) for index in batch])
            drawn = drawn_chroma(model, torch.from_numpy(seen)[:, None], [seeds[index] for index in batch], options)
            chroma = options.saturation * drawn[torch.arange(len(batch)), medoid(drawn)]
            results |= {index: full_size(grays[index], part) for index, part in zip(batch, chroma, strict=True)}
    return [results[index] for index in range(len(grays))]


def goes_alone(model: Colorizer, pixels: int) -> bool:
    """Whether so many working pixels, over all draws, go through the model by one thread."""
    return pixels <= _ALONE_PIXELS and next(model.parameters()).device.type == "cpu"


def working_shape(shape: tuple[int, ...], size: int, multiple: int) -> tuple[int, int]:
    """Height and width of what the model sees of a picture of `shape`: true to its aspect, sides divisible by `multiple`."""
    height, width = shape[:2]
    short = multiple * max(1, round(size / multiple))
    aspect = min(LONGEST, max(height, width) / min(height, width))
    long = multiple * round(short * aspect / multiple)
    return (short, long) if height <= width else (long, short)


def seen_by(
    model: Colorizer,
    gray: Samples,
    tone: npt.NDArray[np.float32] | None = None,
    *,
    size: int | None = None,
    stretch: bool = False,
) -> Tensor:
    """What the model sees of a photograph, (1, 1, h, w) in levels on the CPU; at its own size unless another is said."""
    shape = working_shape(gray.shape, size or model.working_size, model.multiple)
    return torch.from_numpy(view(gray, shape, tone, stretch=stretch))[None, None]


def view(
    gray: Samples, shape: tuple[int, int], tone: npt.NDArray[np.float32] | None = None, *, stretch: bool = False
) -> Levels:
    """What the model sees of a photograph, `reduced` to (h, w): no plain border, and its contrast stretched if that is wanted."""
    levels = reduced(unframed(gray), shape, tone)
    return stretched(levels) if stretch else levels


def reduced(gray: Samples, shape: tuple[int, int], tone: npt.NDArray[np.float32] | None = None) -> Levels:
    """The photograph at (h, w) in levels 0..255: box-averaged by whole factors in strips, then bicubic with antialiasing."""
    (height, width), scale = gray.shape, 255 / np.iinfo(gray.dtype).max
    down, across = (max(1, side // (3 * wanted)) for side, wanted in zip(gray.shape, shape, strict=True))
    rows = down * max(1, _STRIP_PIXELS // (width * down))
    strips = [
        np.asarray(Image.fromarray(gray[top : top + rows].astype(np.float32)).reduce((across, down)))
        for top in range(0, height, rows)
    ]
    image = Image.fromarray(np.concatenate(strips))
    box = (0.0, 0.0, width / across, height / down)
    small = np.asarray(image.resize(shape[::-1], Image.Resampling.BICUBIC, box)) * scale
    small = small.clip(0, 255)
    return (small if tone is None else np.interp(small, np.arange(256), tone)).astype(np.float32)


def full_size(gray: Samples, chroma: Tensor, *, gray_border: bool = True) -> Samples:
    """Colour (H, W, 3) of the photograph's luma and chroma (2, h, w) in 8-bit levels, brought up by bicubic in strips.

    A plain border around the picture stays gray, unless not `gray_border`.
    """
    height, width = gray.shape
    peak = int(np.iinfo(gray.dtype).max)
    rows_inside, columns_inside = map(torch.from_numpy, inside(gray) if gray_border else everywhere(gray.shape))
    wide = chroma * (peak / 255) @ _cubic(width, chroma.shape[2]).T * columns_inside  # (2, h, W)
    down = _cubic(height, chroma.shape[1])  # (H, h)
    result = np.empty((height, width, 3), gray.dtype)
    rows = max(1, _STRIP_PIXELS // width)

    def strip(top: int) -> None:
        band = down[top : top + rows]
        (used,) = torch.nonzero(band.any(dim=0), as_tuple=True)
        first, last = int(used[0]), int(used[-1]) + 1
        y = torch.from_numpy(gray[top : top + rows].astype(np.int32))[None]
        weights = band[:, first:last] * rows_inside[top : top + rows, None]
        rgb = compose(y, weights @ wide[:, first:last], peak)  # (3, rows, W)
        for channel, plane in enumerate(rgb):  # thrice as fast as all three at once
            result[top : top + rows, :, channel] = plane.numpy()

    side_by_side(strip, range(0, height, rows))
    return result


def _cubic(long: int, short: int) -> Tensor:
    """Pillow's bicubic as a matrix (long, short), a row per sample: each row has at most four values, or more going down."""
    identity = Image.fromarray(np.eye(short, dtype=np.float32))
    return torch.from_numpy(np.array(identity.resize((short, long), Image.Resampling.BICUBIC)))


def drawn_chroma(model: Colorizer, seen: Tensor, seeds: Sequence[int], options: PhotoOptions, **more: Tensor) -> Tensor:
    """Chroma (B, draws, 2, h, w), in levels and on the CPU, for working pictures (B, 1, H, W). WeightsError if not finite.

    `more` is what the model's `sample` is told besides the options.
    """
    draw = partial(drawn_here, model, seen, seeds, options, **more)
    return on_one(draw) if goes_alone(model, seen.numel() * (options.draws or model.draws)) else draw()


@torch.inference_mode()
def drawn_here(model: Colorizer, seen: Tensor, seeds: Sequence[int], options: PhotoOptions, **more: Tensor) -> Tensor:
    """The same, by the caller's own thread, with as many of torch's as it has."""
    draws, device = options.draws or model.draws, next(model.parameters()).device
    gray, share = seen.to(device), max(1, _BATCH_PIXELS // seen.numel())
    parts = []
    for first in range(0, draws, share):
        some = range(first, min(first + share, draws))
        generators = generators_for([draw_seed(seed, draw) for seed in seeds for draw in some])
        for step in model.sample(gray, generators=generators, **sampling(model, options), **more):
            x_0 = step.x_0
        part = model.cbcr(x_0, gray.repeat_interleave(len(some), dim=0)).float().cpu()
        parts.append(part.view(len(seen), len(some), *part.shape[1:]))
    chroma = torch.cat(parts, dim=1)  # (B, draws, 2, h, w)
    if not chroma.isfinite().all():
        raise WeightsError(f"model '{model.name}' gives no valid colours: its weights or its training went wrong")
    return chroma


def medoid(chroma: Tensor) -> Tensor:
    """Which of the draws (B, draws, 2, h, w) has the least mean squared distance to the others, at 8 x 8 cells: (B,)."""
    cells = F.adaptive_avg_pool2d(chroma.flatten(0, 1), 8).view(*chroma.shape[:2], -1)
    distances = (cells[:, :, None] - cells[:, None]).square().mean(dim=3)  # (B, draws, draws)
    return distances.mean(dim=2).argmin(dim=1)


def draw_seed(seed: int, draw: int) -> int:
    """The seed of one of a picture's draws: the first has the picture's own, the others are independent of every seed."""
    return seed if draw == 0 else int(np.random.SeedSequence([seed, draw]).generate_state(1, np.uint64)[0] >> 1)


def sampling(model: Colorizer, options: PhotoOptions) -> dict[str, Any]:
    """The sampling options that are set. One that the model does not have raises UnknownName."""
    chosen = chosen_sampling(model, options)
    if not model.varies and (options.draws or 1) > 1:
        raise ConfigError(f"draws = {options.draws}: {one_colouring(model)}. Leave draws away")
    return chosen


def honest(model: Colorizer, options: PhotoOptions) -> PhotoOptions:
    """The options of samples whose coarse colours are sampled too, unless an anchor is asked for."""
    return replace(options, anchor=0.0) if model.anchor and options.anchor is None else options


def one_colouring(model: Colorizer) -> str:
    """Why there is nothing to choose from."""
    return f"the model '{model.name}' has one colouring of each photograph"
