"""What old prints need: their faded contrast stretched for the model's eyes, and no colour in a plain border."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tinct.images import Samples

Levels = npt.NDArray[np.float32]  # (h, w), gray levels 0..255
_GAIN = 1.6  # at most: more would show a foggy morning as a clear one
_TAILS = (0.5, 99.5)  # per cent of the pixels, darker and brighter, that may be cut: specks and scratches

_DETAIL = 256  # px of the short side that a border is looked for at
_ALIKE = 8  # levels within which a border is plain
_DARK, _BRIGHT = 40, 200  # levels between which nothing is taken for a border: a wall or a sky may be as plain
_PLAIN = 0.97  # of the pixels of each of a border's lines are alike
_WIDEST = 0.25  # of a side, that a border may be wide
_EDGE = 0.75  # of the pixels along each of the border's inner edges differ from it: a print ends in straight lines


def numbers() -> dict[str, dict[str, Any]]:
    """The figures of these rules, for a program elsewhere that follows them too."""
    return {
        "stretch": {"gain": _GAIN, "tails": _TAILS},
        "border": {
            "detail": _DETAIL, "alike": _ALIKE, "dark": _DARK, "bright": _BRIGHT,
            "plain": _PLAIN, "widest": _WIDEST, "edge": _EDGE,
        },
    }  # fmt: skip


def stretched(levels: Levels) -> Levels:
    """Contrast up to black and white, or by the largest gain; what room that leaves is shared as before."""
    low, high = (float(end) for end in np.percentile(levels, _TAILS))
    gain = min(_GAIN, 255 / max(high - low, 1))
    if gain <= 1:
        return levels
    room = 255 - (high - low)
    darkest = (255 - gain * (high - low)) * low / room
    return np.asarray((gain * (levels - low) + darkest).clip(0, 255), np.float32)


def unframed(gray: Samples) -> Samples:
    """The photograph with the picture mirrored over its plain border, for the model's eyes: the same where there is none."""
    rows, columns = (np.nonzero(part == 1)[0] for part in inside(gray))
    (top, bottom), (left, right) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    if (bottom - top, right - left) == gray.shape:
        return gray
    widths = ((top, len(gray) - bottom), (left, gray.shape[1] - right))
    return np.pad(gray[top:bottom, left:right], widths, mode="symmetric")


def everywhere(shape: tuple[int, ...]) -> tuple[Levels, Levels]:
    """What `inside` says where there is no border."""
    return np.ones(shape[0], np.float32), np.ones(shape[1], np.float32)


def inside(gray: Samples) -> tuple[Levels, Levels]:
    """Whether each row (H,) and each column (W,) of a photograph lies inside its plain border: 0 in it, 1 in the picture."""
    small = _small(gray)
    top, bottom, left, right = _border(small)
    (height, width), (short_height, short_width) = gray.shape, small.shape
    return _ramp(top, bottom, short_height, height), _ramp(left, right, short_width, width)


def _small(gray: Samples) -> Levels:
    """In levels 0..255, box-averaged by a whole factor."""
    levels = gray if gray.dtype == np.uint8 else (gray >> 8).astype(np.uint8)
    return np.asarray(Image.fromarray(levels).reduce(max(1, min(gray.shape) // _DETAIL)), np.float32)


def _border(small: Levels) -> tuple[int, int, int, int]:
    """Lines of a plain border at the top, bottom, left and right; none where it is not certain.

    It is black or bright, alike on all four sides, and the picture within begins along straight edges.
    """
    level = float(np.median(np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])))
    alike = np.abs(small - level) <= _ALIKE
    rows, columns = alike.mean(axis=1) >= _PLAIN, alike.mean(axis=0) >= _PLAIN
    widths = tuple(_leading(lines) for lines in (rows, rows[::-1], columns, columns[::-1]))
    allowed = [_WIDEST * length for length in small.shape for _ in range(2)]
    if _DARK < level < _BRIGHT or not all(1 <= width <= most for width, most in zip(widths, allowed, strict=True)):
        return 0, 0, 0, 0
    top, bottom, left, right = widths
    within = alike[top : len(small) - bottom, left : small.shape[1] - right]
    deep = 1 + min(within.shape) // 100  # a scan is never quite straight
    edges = (within[deep], within[-1 - deep], within[:, deep], within[:, -1 - deep])
    return (top, bottom, left, right) if all(edge.mean() <= 1 - _EDGE for edge in edges) else (0, 0, 0, 0)


def _leading(plain: npt.NDArray[np.bool_]) -> int:
    """How many lines are plain, from the first on."""
    return len(plain) if plain.all() else int(plain.argmin())


def _ramp(first: int, last: int, short: int, long: int) -> Levels:
    """0 over so many first and last lines of `short`, 1 from a line further in, as seen at `long` lines; 1 without any."""
    if not first:
        return np.ones(long, np.float32)
    places = (np.arange(long, dtype=np.float32) + 0.5) * (short / long)
    return np.asarray(np.minimum(places - first, short - last - places).clip(0, 1), np.float32)
