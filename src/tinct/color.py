"""Colour spaces, and the composition that keeps a photograph's luma exactly.

Legend: R'G'B' and Y (luma) in code values 0..peak ("levels"); Cb, Cr centred on 0 in levels; a, b of CIELAB (D65, 2 degrees).
Tensors are channel-first: rgb (..., 3, H, W), luma and gray (..., 1, H, W), chroma (..., 2, H, W).
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from tinct.registry import Registry

# ITU-R BT.601 luma in 16-bit fixed point, as Pillow's convert("L") has it: L = (19595 R + 38470 G + 7471 B + 32768) >> 16.
_RED, _GREEN, _BLUE, _HALF = 19595, 38470, 7471, 1 << 15


def luma(rgb: Tensor) -> Tensor:
    """Pillow's L of integer pictures, exactly: (..., 3, H, W) -> (..., 1, H, W), same integer dtype; 8 or 16 bit."""
    red, green, blue = (rgb[..., channel, :, :].to(torch.int64) for channel in range(3))
    return ((_RED * red + _GREEN * green + _BLUE * blue + _HALF) >> 16).unsqueeze(-3).to(rgb.dtype)


def exact_luma(rgb: Tensor) -> Tensor:
    """Luma (..., H, W) of float pictures (..., 3, H, W), not rounded (ITU-R BT.601)."""
    red, green, blue = rgb.unbind(-3)
    y: Tensor = 0.299 * red + 0.587 * green + 0.114 * blue
    return y


def rgb_to_cbcr(rgb: Tensor) -> Tensor:
    """Chroma (..., 2, H, W) in levels of float pictures in levels (ITU-R BT.601, full range, as in JPEG)."""
    red, _, blue = rgb.unbind(-3)
    y = exact_luma(rgb)
    return torch.stack([(blue - y) / 1.772, (red - y) / 1.402], dim=-3)


def cbcr_to_rgb(y: Tensor, cbcr: Tensor) -> Tensor:
    """Float rgb in levels of luma y (..., H, W) and chroma, not clipped: the inverse of `rgb_to_cbcr`."""
    return torch.stack([y + offset for offset in _offsets(cbcr)], dim=-3)


def _offsets(cbcr: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of R', G', B' from the luma."""
    cb, cr = cbcr.unbind(-3)
    return 1.402 * cr, -0.344136286 * cb - 0.714136286 * cr, 1.772 * cb


def fit_gamut(y: Tensor, cbcr: Tensor, peak: int = 255) -> tuple[Tensor, Tensor, Tensor]:
    """Float R', G', B' (..., H, W) of luma y (..., H, W): chroma shrunk at constant luma until each lies in 0..peak."""
    offsets = _offsets(cbcr)
    above = torch.maximum(torch.maximum(offsets[0], offsets[1]), offsets[2]).clamp_min(1e-6)
    below = torch.minimum(torch.minimum(offsets[0], offsets[1]), offsets[2]).clamp_max(-1e-6).neg_()
    shrink = torch.minimum((peak - y) / above, y / below).clamp_max(1.0)
    red, green, blue = (y + shrink * offset for offset in offsets)
    return red, green, blue


def compose(gray: Tensor, cbcr: Tensor, peak: int = 255) -> Tensor:
    """The picture with this chroma whose luma is `gray`, exactly: `luma(compose(gray, cbcr)) == gray` at every pixel.

    gray: integer (..., 1, H, W) in 0..peak (255, or 65535 for 16 bit); cbcr: float (..., 2, H, W) in levels of that peak.
    Gives int32 (..., 3, H, W). Red and blue are rounded, then green is solved for. What rounding green leaves is at most
    half a green level, 0.2935 levels of luma, which the rounding of the luma formula removes. Since the rounding of red
    and blue moves green by at most 0.36 levels, green never leaves 0..peak.
    """
    wide = torch.int32 if peak == 255 else torch.int64
    y = gray.squeeze(-3)
    red, _, blue = fit_gamut(y.to(cbcr.dtype), cbcr, peak)
    red = red.round_().clamp_(0, peak).to(wide)
    blue = blue.round_().clamp_(0, peak).to(wide)
    rest = (y.to(wide) << 16) - _RED * red - _BLUE * blue
    green = torch.div(rest + _GREEN // 2, _GREEN, rounding_mode="floor")
    return torch.stack([red, green, blue], dim=-3).to(torch.int32)


class ColorSpace(Protocol):
    """How colour is written for a network: `channels` of roughly unit scale, none beyond +-`limit`."""

    channels: int
    limit: float

    def encode(self, rgb: Tensor) -> Tensor:
        """Float rgb in levels (B, 3, H, W) -> network units (B, channels, H, W)."""
        ...

    def cbcr(self, x: Tensor, gray: Tensor) -> Tensor:
        """Network units and the gray (B, 1, H, W) in levels 0..255 they belong to -> chroma (B, 2, H, W) in levels."""
        ...

    def picture(self, x: Tensor, gray: Tensor) -> Tensor:
        """What network units (B, channels, h, w) look like: float rgb in levels, as large as the gray (B, 1, H, W).

        For losses: differentiable. A space that writes chroma alone takes its luma from the gray.
        """
        ...


SPACES: Registry[ColorSpace] = Registry("color space")


def _on_luma(space: ColorSpace, x: Tensor, gray: Tensor) -> Tensor:
    """A picture of the gray's luma in the chroma of x, brought up to its size as a photograph's is."""
    chroma = space.cbcr(x, F.avg_pool2d(gray, gray.shape[-1] // x.shape[-1]))
    chroma = F.interpolate(chroma, gray.shape[-2:], mode="bicubic")
    return torch.stack(fit_gamut(gray.squeeze(-3), chroma), dim=-3)


class _Rgb:
    """The classic: three channels in [-1, 1]."""

    channels = 3
    limit = 1.0

    def encode(self, rgb: Tensor) -> Tensor:
        return rgb / 127.5 - 1

    def cbcr(self, x: Tensor, gray: Tensor) -> Tensor:
        return rgb_to_cbcr((x.clamp(-1, 1) + 1) * 127.5)

    def picture(self, x: Tensor, gray: Tensor) -> Tensor:
        return F.interpolate((x.clamp(-1, 1) + 1) * 127.5, gray.shape[-2:], mode="bilinear")


class _YCbCr:
    """Chroma of BT.601, centred and scaled by what was measured over 3,816 Tiny ImageNet validation pictures."""

    channels = 2
    mean = (-8.5, 5.6)  # levels
    std = 18.05  # levels, one scale for both channels: no whitening
    limit = (127.5 + 8.5) / 18.05

    def encode(self, rgb: Tensor) -> Tensor:
        return (rgb_to_cbcr(rgb) - rgb.new_tensor(self.mean).view(2, 1, 1)) / self.std

    def cbcr(self, x: Tensor, gray: Tensor) -> Tensor:
        return x * self.std + x.new_tensor(self.mean).view(2, 1, 1)

    def picture(self, x: Tensor, gray: Tensor) -> Tensor:
        return _on_luma(self, x, gray)


class _Lab:
    """a and b of CIELAB. Going back, the L* is found for which the colour has the luma that the gray says."""

    channels = 2
    scale = 20.0  # one network unit in units of a, b: about their standard deviation in photographs
    limit = 128 / 20.0

    def encode(self, rgb: Tensor) -> Tensor:
        return rgb_to_lab(rgb)[..., 1:, :, :] / self.scale

    def cbcr(self, x: Tensor, gray: Tensor) -> Tensor:
        ab = (x * self.scale).clamp(-128, 128)
        return rgb_to_cbcr(lab_to_rgb(torch.cat([_lightness_with_luma(gray, ab), ab], dim=-3)))

    def picture(self, x: Tensor, gray: Tensor) -> Tensor:
        return _on_luma(self, x, gray)


def _lightness_with_luma(gray: Tensor, ab: Tensor) -> Tensor:
    """L* (B, 1, H, W) of the colours a, b whose luma is `gray`, by false position (Illinois: Dowell and Jarratt 1971).

    In sRGB, L* lies 2.2 below to 25.8 above that of a neutral gray of the same luma; six rounds leave at most 0.01.
    """

    def excess(lightness: Tensor) -> Tensor:  # of luma, in levels
        return exact_luma(lab_to_rgb(torch.cat([lightness, ab], dim=-3))).unsqueeze(-3) - gray

    low, high = _lightness(gray) - 10, _lightness(gray) + 40
    at_low, at_high = excess(low), excess(high)
    middle, previous = low, torch.zeros_like(low, dtype=torch.int8)
    for _ in range(6):
        middle = torch.lerp(low, high, (at_low / (at_low - at_high).clamp_max(-1e-6)).clamp(0, 1))
        value = excess(middle)
        side = torch.where(value < 0, 1, -1).to(torch.int8)  # which end moves here: 1 the low one
        halved = torch.where(side == previous, 0.5, 1.0)  # of the end that stays a second time
        low, at_low = torch.where(side > 0, middle, low), torch.where(side > 0, value, at_low * halved)
        high, at_high = torch.where(side > 0, high, middle), torch.where(side > 0, at_high * halved, value)
        previous = side
    return middle


SPACES.add("rgb")(_Rgb())
SPACES.add("ycbcr")(_YCbCr())
SPACES.add("lab")(_Lab())

# IEC 61966-2-1 (sRGB) to XYZ, each row divided by the D65 white (0.95047, 1, 1.08883).
_TO_XYZ = (
    (0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883),
)
_DELTA = 6 / 29


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """CIELAB (..., 3, H, W) of sRGB in levels (CIE 15:2004, D65). Values below 0 go through the curves' odd extension."""
    linear = _linear(rgb / 255)
    f = _lab_curve(_mixed(rgb.new_tensor(_TO_XYZ), linear))
    fx, fy, fz = f.unbind(-3)
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], dim=-3)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """sRGB in levels of CIELAB, not clipped: the inverse of `rgb_to_lab`."""
    lightness, a, b = lab.unbind(-3)
    fy = (lightness + 16) / 116
    f = torch.stack([fy + a / 500, fy, fy - b / 200], dim=-3)
    xyz = torch.where(f > _DELTA, f**3, 3 * _DELTA**2 * (f - 4 / 29))
    inverse = torch.linalg.inv(torch.tensor(_TO_XYZ, dtype=torch.float64)).to(lab)
    return 255 * _companded(_mixed(inverse, xyz))


def _mixed(matrix: Tensor, colour: Tensor) -> Tensor:
    """The colour (..., 3, H, W) times a 3 x 3 matrix; not by a matrix product, which autocast would round to bfloat16."""
    return (matrix[:, :, None, None] * colour.unsqueeze(-4)).sum(dim=-3)


def _lightness(y: Tensor) -> Tensor:
    """L* of a neutral gray of y levels."""
    return 116 * _lab_curve(_linear(y / 255)) - 16


def _lab_curve(value: Tensor) -> Tensor:
    return torch.where(value > _DELTA**3, value.clamp_min(1e-9) ** (1 / 3), value / (3 * _DELTA**2) + 4 / 29)


def _linear(value: Tensor) -> Tensor:
    size = value.abs()
    return value.sign() * torch.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4)


def _companded(value: Tensor) -> Tensor:
    size = value.abs()
    return value.sign() * torch.where(
        size <= 0.0031308, size * 12.92, 1.055 * size.clamp_min(1e-9) ** (1 / 2.4) - 0.055
    )
