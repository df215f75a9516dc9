"""What a decoded photograph is: its luma samples, and everything that has to survive until it is written again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Samples = npt.NDArray[Any]  # uint8 or uint16


@dataclass(frozen=True, eq=False)
class Picture:
    """One photograph, upright, as luma; of a file with several pages the first, with the others behind it.

    grays: (H, W) per frame, uint8 or uint16: Pillow's L of 8-bit pictures, the same formula on 16-bit samples.
    alphas: same shapes and type; empty when every pixel is opaque.
    """

    name: str
    grays: tuple[Samples, ...]
    alphas: tuple[Samples, ...] = ()
    durations: tuple[int, ...] = ()  # milliseconds per frame; empty when it does not move
    loop: int = 0  # how often it plays; 0 = for ever
    in_colour: bool = False  # more than gray, tinted or sepia
    indexed: bool = False  # palette, 1-bit or GIF: the kinds that can't hold the colours to come
    exif: dict[int, Any] = field(default_factory=dict)  # without an orientation: the samples are upright
    xmp: bytes | None = None
    texts: dict[str, str] = field(default_factory=dict)  # of PNG
    profile: bytes | None = None  # ICC, fit for RGB samples
    tone: npt.NDArray[np.float32] | None = None  # (256,) sRGB levels that the profile shows for gray levels 0..255
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()  # what could not be kept, for the user
    pages: tuple[Picture, ...] = ()  # the further pages of a TIFF, each with what it carries itself

    @property
    def gray(self) -> Samples:
        """The (first) frame's luma, (H, W)."""
        return self.grays[0]

    @property
    def peak(self) -> int:
        """The sample value of white: 255 or 65535."""
        return int(np.iinfo(self.gray.dtype).max)

    @property
    def moving(self) -> bool:
        """Whether it is an animation."""
        return len(self.grays) > 1

    @property
    def sheets(self) -> tuple[Picture, ...]:
        """Every page, this one first. Of an animation, and of most pictures, there is this one alone."""
        return (self, *self.pages)

    @property
    def megapixels(self) -> float:
        """Of all frames and pages together."""
        return sum(gray.size for sheet in self.sheets for gray in sheet.grays) / 1e6

    def in_8_bit(self) -> Picture:
        """The same picture with samples rounded to 8 bit."""
        pages = tuple(page.in_8_bit() for page in self.pages)
        if self.peak == 255:
            return replace(self, pages=pages)
        return replace(
            self, grays=tuple(map(rounded, self.grays)), alphas=tuple(map(rounded, self.alphas)), pages=pages
        )

    def first_page(self) -> Picture:
        """The first page alone, with a note if there are more."""
        alone = replace(self, pages=())
        return alone.noted(f"only the first of its {len(self.sheets)} pages is used") if self.pages else alone

    def noted(self, note: str) -> Picture:
        """The same picture with one note more."""
        return replace(self, notes=(*self.notes, note))


def rounded(samples: Samples) -> Samples:
    """16-bit samples (H, W, ...) in 8 bit, made in strips: the 32-bit sums are four times the result."""
    result = np.empty(samples.shape, np.uint8)
    rows = _strip_rows(samples)
    for top in range(0, len(samples), rows):
        result[top : top + rows] = (samples[top : top + rows] + np.uint32(128)) // 257
    return result


def luma16(samples: Samples) -> Samples:
    """Luma (H, W) of uint16 RGB (H, W, 3), by the formula that Pillow has for 8 bit: (19595 R + 38470 G + 7471 B + 32768) >> 16.

    In strips, so that the 32-bit sums of a large picture are never held together. The sum's largest value fits uint32.
    """
    result = np.empty(samples.shape[:2], np.uint16)
    rows = _strip_rows(samples)
    for top in range(0, len(samples), rows):
        red, green, blue = (samples[top : top + rows, :, channel].astype(np.uint32) for channel in range(3))
        result[top : top + rows] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    return result


def _strip_rows(samples: Samples) -> int:
    return max(1, 2**19 // max(1, int(samples.shape[1])))


# Root mean square, in levels, of the chroma that a tint leaves unexplained, on the picture reduced to about 32 px: there the
# coarser chroma of a JPEG no longer counts. Of 15 old scans that were looked at, sepia and toned prints reach 1.6, the palest
# early colour photograph 3.0; docs/old-photographs.md has more.
_COLOUR_LEFT = 2.25


def in_colour(rgb: Image.Image) -> bool:
    """Whether an RGB or RGBA picture has colour beyond a tint: chroma that does not follow from luma, evenly or drifting."""
    small = rgb.reduce(max(1, min(rgb.size) // 32)).convert("RGB")
    pixels = np.asarray(small, np.float64).reshape(-1, 3)
    y = pixels @ np.array([0.299, 0.587, 0.114])
    chroma = np.stack([(pixels[:, 2] - y) / 1.772, (pixels[:, 0] - y) / 1.402], axis=1)
    down, across = (place.ravel() for place in np.mgrid[-1 : 1 : small.height * 1j, -1 : 1 : small.width * 1j])
    light = y / 255
    drifts = (down, across, down * light, across * light)  # paper yellows unevenly
    following = np.stack([*(light**power for power in range(4)), *drifts], axis=1)
    tint, *_ = np.linalg.lstsq(following, chroma, rcond=None)
    left = chroma - following @ tint
    return bool(np.sqrt((left**2).sum(axis=1).mean()) > _COLOUR_LEFT)
