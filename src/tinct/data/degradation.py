"""Degradation: what film, time and scanners leave of a photograph's light, for a model that will be shown such photographs.

Only the gray that is shown suffers; the colours that are learned from it stay true.
Legend: y gray in levels 0..255, float32 (H, W). Lengths are in px of a picture with a short side of 64, `unit` px of this one.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Generator, Tensor

from tinct.color import luma
from tinct.diffusion.noise import rand
from tinct.registry import Registry

Levels = npt.NDArray[np.float32]
Degradation = Callable[[Tensor, Generator], Tensor]  # uint8 (3, H, W) -> what is left of its light, uint8 (1, H, W)
DEGRADATIONS: Registry[Degradation] = Registry("degradation")
NONE = "none"


def degraded(name: str, rgb: Tensor, generators: Sequence[Generator], share: float = 1.0) -> Tensor:
    """The luma of pictures uint8 (B, 3, H, W), a share of them degraded: uint8 (B, 1, H, W)."""
    gray = luma(rgb)
    for index in torch.nonzero(rand(generators, 1).flatten() < share).flatten().tolist():
        gray[index] = DEGRADATIONS[name](rgb[index], generators[index])
    return gray


class Dice:
    """Draws from one picture's generator."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator

    def between(self, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * torch.rand((), generator=self.generator).item()

    def noise(self, height: int, width: int) -> Levels:
        """Unit Gaussian."""
        noise: Levels = torch.randn((height, width), generator=self.generator).numpy()
        return noise


Effect = Callable[[Levels, Dice], Levels]


@DEGRADATIONS.add("old")
def old(rgb: Tensor, generator: Generator) -> Tensor:
    """An old photograph: always faded, and by chance of a film that is blind to red, soft, dark at the corners, grainy,
    damaged and stored as a bad JPEG, in the order in which these things happen to photographs.
    """
    dice = Dice(generator)
    y = orthochromatic(rgb, dice) if dice.between(0, 1) < 0.25 else luma(rgb)[0].numpy().astype(np.float32)
    y = worn(y, dice, OLD)
    return torch.from_numpy(y.round().clip(0, 255).astype(np.uint8))[None]


def worn(y: Levels, dice: Dice, effects: Sequence[tuple[float, Effect]]) -> Levels:
    """The gray after each effect that comes, with its probability."""
    for probability, effect in effects:
        if dice.between(0, 1) < probability:
            y = effect(y, dice)
    return y


def orthochromatic(rgb: Tensor, dice: Dice) -> Levels:
    """What an emulsion that hardly sees red makes of colours: dark lips and bricks, white skies."""
    red, green = dice.between(0.05, 0.15), dice.between(0.45, 0.6)
    return response(rgb, (red, green, 1 - red - green))


def response(rgb: Tensor, weights: Sequence[float]) -> Levels:
    """The light of a picture (3, H, W) on a film with these sensitivities to red, green and blue, of sum 1."""
    red, green, blue = rgb.numpy().astype(np.float32)
    light: Levels = weights[0] * red + weights[1] * green + weights[2] * blue
    return light


def soft(y: Levels, dice: Dice) -> Levels:
    """Out of focus, or moved."""
    return blurred(y, dice.between(0, 1.2) * unit(y))


def dark_corners(y: Levels, dice: Dice) -> Levels:
    """A lens that gives its corners less light."""
    return vignetted(y, dice.between(0.1, 0.6))


def grainy(y: Levels, dice: Dice) -> Levels:
    """Film grain, coarser or finer."""
    return y + grain(dice.noise(*y.shape), dice.between(0, 14), dice.between(0, 0.8) * unit(y))


def faded(y: Levels, dice: Dice) -> Levels:
    """Another exposure and development (gamma 0.6 to 1.7), and a contrast of 0.55 to 1.1, mostly lost in the blacks."""
    gamma = float(np.exp(dice.between(np.log(0.6), np.log(1.7))))
    return toned(y, gamma, dice.between(0.55, 1.1), dice.between(0.25, 1))


def damaged(y: Levels, dice: Dice) -> Levels:
    """Up to four scratches along the picture and up to twelve specks of dust, white or, less often, black."""
    height, width = y.shape
    down, across = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    for _ in range(round(dice.between(0, 4))):
        x, lean, top, bottom = (dice.between(*ends) for ends in ((0, 1), (-0.2, 0.2), (-0.5, 0.5), (0.5, 1.5)))
        away = np.abs(across - (x + lean * down / height) * width)
        away = np.where((down > top * height) & (down < bottom * height), away, np.inf)
        y = marked(y, away, dice.between(0.1, 0.5) * unit(y), dice)
    for _ in range(round(dice.between(0, 12))):
        away = np.hypot(down - dice.between(0, height), across - dice.between(0, width))
        y = marked(y, away, dice.between(0.2, 1.2) * unit(y), dice)
    return y


def stored(y: Levels, dice: Dice) -> Levels:
    """As JPEG of quality 20 to 60."""
    return compressed(y, round(dice.between(20, 60)))


OLD: tuple[tuple[float, Effect], ...] = (
    (0.3, soft),
    (0.1, dark_corners),
    (0.3, grainy),
    (1.0, faded),
    (0.05, damaged),
    (0.1, stored),
)


def unit(y: Levels) -> float:
    """Px of a 64th of the short side."""
    return float(min(y.shape)) / 64


def blurred(y: Levels, sigma: float) -> Levels:
    """Gaussian blur, the border repeated; sigma in px."""
    return _blurred_down(_blurred_down(y, _taps(sigma)).T, _taps(sigma)).T


def _blurred_down(y: Levels, taps: Levels) -> Levels:
    padded = np.pad(y, [(len(taps) // 2,) * 2, (0, 0)], mode="edge")
    result = np.zeros_like(y)
    for at, tap in enumerate(taps):
        result += tap * padded[at : at + len(y)]
    return result


def _taps(sigma: float) -> Levels:
    """A Gaussian kernel of sum 1, three deviations long each way."""
    reach = int(np.ceil(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-6)) ** 2)
    return np.asarray(taps / taps.sum(), np.float32)


def vignetted(y: Levels, strength: float) -> Levels:
    """Darker with the square of the distance from the middle, by `strength` in the corners."""
    down, across = (np.linspace(-1, 1, side, dtype=np.float32) ** 2 for side in y.shape)
    dark: Levels = y * (1 - strength / 2 * (down[:, None] + across))
    return dark


def grain(noise: Levels, deviation: float, sigma: float) -> Levels:
    """Unit noise blurred by sigma px and brought to this standard deviation."""
    left = float((_taps(sigma) ** 2).sum())  # of the deviation: the root for each axis
    return deviation / left * blurred(noise, sigma)


def toned(y: Levels, gamma: float, contrast: float, black: float) -> Levels:
    """The gamma curve of white 255, then the contrast, of whose loss the share `black` lifts black and the rest lowers white."""
    curve = 255 * (y.clip(0, 255) / 255) ** np.float32(gamma)
    return np.asarray(contrast * curve + 255 * (1 - contrast) * black, np.float32)


def marked(y: Levels, away: Levels, radius: float, dice: Dice) -> Levels:
    """White or black within a radius of something that is `away` px from each pixel, with a soft edge of 1 px."""
    cover, mark = (radius + 0.5 - away).clip(0, 1), np.float32(255 if dice.between(0, 1) < 0.7 else 0)
    return np.asarray(y + cover * (mark - y), np.float32)


def compressed(y: Levels, quality: int) -> Levels:
    """Through a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(y.round().clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.float32)
