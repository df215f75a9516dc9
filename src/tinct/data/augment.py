"""Augmentation: what may happen to a training picture, decided by the picture's own generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from tinct.diffusion.noise import rand
from tinct.registry import Registry

Augmentation = Callable[[Tensor, Sequence[Generator]], Tensor]  # uint8 (B, 3, H, W) -> the same
AUGMENTATIONS: Registry[Augmentation] = Registry("augmentation")


@AUGMENTATIONS.add("none")
def none(rgb: Tensor, generators: Sequence[Generator]) -> Tensor:
    """The picture as it is."""
    return rgb


@AUGMENTATIONS.add("flip")
def flip(rgb: Tensor, generators: Sequence[Generator]) -> Tensor:
    """Mirrored, every other time."""
    mirrored = rand(generators, 1).view(-1, 1, 1, 1) < 0.5
    return torch.where(mirrored.to(rgb.device), rgb.flip(-1), rgb)


@AUGMENTATIONS.add("crop")
def crop(rgb: Tensor, generators: Sequence[Generator]) -> Tensor:
    """Mirrored every other time; every other time a part of 60 to 100% of the area, its sides stretched by 0.8 to 1.25."""
    return _part(rgb, generators, share=0.5, least=0.6)


@AUGMENTATIONS.add("resized-crop")
def resized_crop(rgb: Tensor, generators: Sequence[Generator]) -> Tensor:
    """Mirrored every other time; always a part of 35 to 100% of the area, its sides stretched by 0.8 to 1.25."""
    return _part(rgb, generators, share=1.0, least=0.35)


def _part(rgb: Tensor, generators: Sequence[Generator], share: float, least: float) -> Tensor:
    mirror, cropped, area, stretch, left, top = rand(generators, 6).unbind(1)
    scale = torch.where(cropped < share, (least + (1 - least) * area).sqrt(), 1.0)
    ratio = torch.where(cropped < share, 1.25 ** (stretch - 0.5), 1.0)  # of width to height: 1.25^+-0.5 per side
    width, height = (scale * ratio).clamp(max=1), (scale / ratio).clamp(max=1)
    sign = torch.where(mirror < 0.5, -1.0, 1.0)
    zero = torch.zeros_like(width)
    rows = [width * sign, zero, (1 - width) * (2 * left - 1), zero, height, (1 - height) * (2 * top - 1)]
    grid = F.affine_grid(torch.stack(rows, dim=1).view(-1, 2, 3), list(rgb.shape), align_corners=False)
    moved = F.grid_sample(rgb.float(), grid.to(rgb.device), padding_mode="border", align_corners=False)
    return moved.round().clamp(0, 255).to(torch.uint8)


@AUGMENTATIONS.add("shift")
def shift(rgb: Tensor, generators: Sequence[Generator]) -> Tensor:
    """Moved by up to a fourteenth of a side each way, its border repeated; never mirrored: for digits and letters."""
    count, _, height, width = rgb.shape
    reach = max(1, round(min(height, width) / 14))
    places = (rand(generators, 2) * (2 * reach + 1)).long().to(rgb.device)  # B 2
    rows = (places[:, :1] + torch.arange(-reach, height - reach, device=rgb.device)).clamp(0, height - 1)  # B H
    columns = (places[:, 1:] + torch.arange(-reach, width - reach, device=rgb.device)).clamp(0, width - 1)  # B W
    pictures = torch.arange(count, device=rgb.device).view(-1, 1, 1)
    moved = rgb.permute(0, 2, 3, 1)[pictures, rows[:, :, None], columns[:, None, :]]  # B H W 3
    return moved.permute(0, 3, 1, 2).contiguous()
