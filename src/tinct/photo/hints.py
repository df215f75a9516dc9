"""Colour hints as users give them: places with their colours, from texts, records, JSON and pictures.

Coordinates are pixels of the upright photograph, from its top left corner.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from tinct.color import rgb_to_cbcr
from tinct.config import from_dict, option
from tinct.errors import ConfigError, PictureError
from tinct.images import Samples, read_rgba

_COLOR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, order=True)
class Hint:
    """What colour a place has: its pixel, or the disc of `radius` px around it."""

    x: int
    y: int
    color: str  # "#rrggbb"; only its chroma counts, as the light is the photograph's
    radius: float = option(0.0, "of the disc, px", low=0.0, high=1e5)

    @property
    def rgb(self) -> tuple[int, ...]:
        """The colour in levels."""
        return tuple(bytes.fromhex(self.color[1:]))


class Hints:
    """All hints of one photograph: `points` in an order of their own, and a `mask`, RGBA (H, W, 4), or None."""

    def __init__(self, points: Iterable[Any] = (), mask: Samples | None = None) -> None:
        """`points` as `hint` takes them; ConfigError for a mask that hints at nothing."""
        self.points = tuple(sorted({hint(point) for point in points}))
        self.mask = mask
        if mask is not None and not self.opaque.any():
            raise ConfigError("hint mask: no pixel of it is opaque. Paint on a transparent layer, and save that")

    def __bool__(self) -> bool:
        return bool(self.points) or self.mask is not None

    @property
    def opaque(self) -> npt.NDArray[np.bool_]:
        """Which pixels of the mask are hints, (H, W)."""
        assert self.mask is not None
        return np.asarray(self.mask[..., 3] == 255)

    def settings(self) -> dict[str, Any]:
        """What a result depends on, for its manifest; nothing without hints."""
        said: dict[str, Any] = {"hints": [asdict(point) for point in self.points]} if self.points else {}
        if self.mask is not None:
            kept = np.where(self.opaque[..., None], self.mask, 0)
            said["hint_mask"] = hashlib.sha256(repr(kept.shape).encode() + kept.tobytes()).hexdigest()
        return said

    def on(self, shape: tuple[int, ...]) -> Placed:
        """Their pixels on a photograph of (height, width); ConfigError for what lies outside, or a mask of another size."""
        parts = [_disc(point, shape) for point in self.points]
        if self.mask is not None:
            if self.mask.shape[:2] != shape:
                raise ConfigError(
                    f"hint mask: {_size(self.mask.shape)} pixels, but the upright photograph has {_size(shape)}. "
                    "Make it of the photograph's size"
                )
            rows, columns = self.opaque.nonzero()
            parts.append((rows, columns, self.mask[rows, columns, :3]))
        rows, columns, rgb = (np.concatenate(values) for values in zip(*parts, strict=True))
        chroma = rgb_to_cbcr(torch.from_numpy(rgb.astype(np.float32)).T[:, None])[:, 0].numpy()
        return Placed((shape[0], shape[1]), rows, columns, chroma)


@dataclass(frozen=True, eq=False)
class Placed:
    """The hinted pixels of a photograph of `shape`: their rows and columns, (n,), and their Cb and Cr in levels, (2, n)."""

    shape: tuple[int, int]
    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    chroma: npt.NDArray[np.float32]

    def grid(self, shape: tuple[int, ...]) -> Tensor:
        """On a grid (h, w) over the photograph: (3, h, w), their mean Cb and Cr and their number in each cell."""
        (height, width), (down, across) = self.shape, shape
        cells = self.rows * down // height * across + self.columns * across // width
        counts = np.bincount(cells, minlength=down * across)
        sums = [np.bincount(cells, values, minlength=down * across) for values in self.chroma]
        planes = np.stack([*(values / np.maximum(counts, 1) for values in sums), counts])
        return torch.from_numpy(planes.astype(np.float32).reshape(3, down, across))


def hint(value: Any) -> Hint:
    """The hint that a text "x,y,#rrggbb" says, a tuple (x, y, color), a mapping or a Hint; each may have a radius, last.

    ConfigError says what is wrong with it.
    """
    given = asdict(value) if isinstance(value, Hint) else value
    names = [item.name for item in fields(Hint)]
    if isinstance(given, str):
        given = [part.strip() for part in given.split(",")]
    if isinstance(given, list | tuple) and len(given) in (3, 4):
        given = dict(zip(names, given, strict=False))
    if not isinstance(given, Mapping):
        raise ConfigError(f"hint {value!r}: expected {','.join(names[:3])} and, if wanted, radius: 120,80,#c02020")
    try:
        read = from_dict(Hint, given)
    except ConfigError as error:
        raise ConfigError(f"hint {value!r}: {error}") from None
    if not _COLOR.fullmatch(read.color.lower()):
        raise ConfigError(f"hint {value!r}: color = {read.color!r}: expected #rrggbb, such as #c02020")
    return Hint(read.x, read.y, read.color.lower(), read.radius)


def hints_in_file(path: Path) -> list[Hint]:
    """Those of a JSON file: a list of {"x", "y", "color", "radius"}, the radius optional. ConfigError names the file."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({error.strerror}). Name a JSON file of hints") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from None
    if not isinstance(values, list) or not values:
        raise ConfigError(f'{path}: expected a list of hints: [{{"x": 120, "y": 80, "color": "#c02020", "radius": 5}}]')
    try:
        return [hint(value) for value in values]
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def mask_of(source: str | Path | bytes | Image.Image) -> Samples:
    """A picture whose opaque pixels are hints, RGBA uint8 (H, W, 4); PictureError for one without transparency."""
    if isinstance(source, Image.Image):
        if not source.has_transparency_data:
            raise PictureError("hint mask: it has no transparency. Give an RGBA image")
        return np.array(source.convert("RGBA"), np.uint8)
    return read_rgba(Path(source) if isinstance(source, str) else source)


def _disc(point: Hint, shape: tuple[int, ...]) -> tuple[npt.NDArray[Any], ...]:
    """Rows, columns and colours (n, 3) of its pixels within the photograph."""
    height, width = shape
    if not (0 <= point.x < width and 0 <= point.y < height):
        raise ConfigError(
            f"hint at {point.x},{point.y}: outside the photograph of {_size(shape)} pixels. Upright, x is from 0 to {width - 1}, "
            f"y from 0 to {height - 1}"
        )
    reach = int(point.radius)
    rows = np.arange(max(0, point.y - reach), min(height, point.y + reach + 1))
    columns = np.arange(max(0, point.x - reach), min(width, point.x + reach + 1))
    inside = (rows[:, None] - point.y) ** 2 + (columns - point.x) ** 2 <= point.radius**2
    down, across = inside.nonzero()
    return rows[down], columns[across], np.tile(np.array(point.rgb, np.uint8), (len(down), 1))


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"
