"""One configurable U-Net: the classic one, the small additive one, the one with attention are its settings.

It serves as a denoiser, which is told the time, and as a painter, which gives colour in one pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinct.config import option
from tinct.errors import ConfigError
from tinct.level import Level
from tinct.nets.base import DENOISERS, PAINTERS, Denoiser, Features, Painter
from tinct.nets.blocks import Attention, LatentMap, ResBlock, group_norm, sinusoids


@dataclass(frozen=True)
class UNetShape:
    """Shape of the U-Net; the defaults are the classic 31.0M network (Ronneberger et al. 2015)."""

    features: tuple[int, ...] = option((64, 128, 256, 512), "widths per level, finest first", low=4)
    bottleneck: int = option(0, "width below the last level; 0 = twice the last", low=0)
    bottleneck_down: bool = option(True, "whether the bottleneck works at half the size of the last level")
    patch: int = option(1, "pixels per side that are folded into channels first: 2 works at half the size", low=1)
    stem: int = option(0, "width of a first convolution at full size; 0 = none", low=0)
    block: str = option("double", "what a level is made of", choices=lambda: ("double", "residual"))
    blocks: int = option(1, "blocks per level on the way down and on the way up", low=1)
    skips: str = option("concat", "how the way up takes in the way down", choices=lambda: ("concat", "add"))
    resample: str = option(
        "pool", "down by max pooling, or by a strided 4x4 convolution", choices=lambda: ("pool", "conv")
    )
    attention: tuple[int, ...] = option((), "reductions of size (1, 2, 4...) at which blocks are followed by attention")
    dropout: float = option(0.15, "dropout in every block", low=0.0, high=0.9)


@dataclass(frozen=True)
class UNetOptions(UNetShape):
    """The shape, and how time comes in: by 0.4M more."""

    time_embedding: int = option(256, "size of the sinusoidal time embedding, even", low=2)
    time_in: str = option("bottleneck", "where time enters", choices=lambda: ("bottleneck", "blocks"))
    jumps: bool = option(False, "can also be asked for the end of a walk, for samplers of few steps")


class _DoubleConv(nn.Module):
    """Conv, group norm, SiLU, twice, with dropout; an embedding (if any) is added between the two."""

    def __init__(self, channels: int, out: int, *, embedding: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv_in, self.norm_in = nn.Conv2d(channels, out, 3, padding=1), group_norm(out)
        self.conv_out, self.norm_out = nn.Conv2d(out, out, 3, padding=1), group_norm(out)
        self.time = nn.Linear(embedding, out) if embedding else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        h = F.silu(self.norm_in(self.conv_in(x)))
        if self.time is not None:
            assert embedding is not None
            h = h + self.time(embedding)[:, :, None, None]
        out: Tensor = F.silu(self.norm_out(self.conv_out(self.dropout(h))))
        return out


class _Level(nn.Module):
    """The blocks of one level, each followed by attention where it is asked for."""

    def __init__(self, options: UNetShape, channels: int, out: int, reduction: int, embedding: int) -> None:
        super().__init__()
        make = ResBlock if options.block == "residual" else _DoubleConv
        widths = pairwise([channels, *[out] * options.blocks])
        self.blocks = nn.ModuleList(make(a, b, embedding=embedding, dropout=options.dropout) for a, b in widths)
        attend = reduction in options.attention
        self.attention = nn.ModuleList(Attention(out) if attend else nn.Identity() for _ in range(options.blocks))

    def forward(self, x: Tensor, embedding: Tensor | None) -> Tensor:
        for block, attention in zip(self.blocks, self.attention, strict=True):
            x = attention(block(x, embedding))
        return x


class _Trunk(nn.Module):
    """The way down, the bottleneck and the way up, whose blocks may take an embedding that `embedders` make of something.

    `embedding` is its size: it enters at the bottleneck, or everywhere. `multiple` follows from the levels.
    """

    def __init__(
        self,
        options: UNetShape,
        inputs: int,
        channels: int,
        embedders: Mapping[str, nn.Module | None] | None = None,
        embedding: int = 0,
        *,
        everywhere: bool = False,
    ) -> None:
        super().__init__()
        _check(options)
        self.shape = options
        widths = options.features
        downs = len(widths) - (0 if options.bottleneck_down else 1)  # how often the size is halved
        self.multiple = options.patch * 2**downs
        reductions = _reductions(options)
        within = embedding if everywhere else 0
        inputs, channels = (count * options.patch**2 for count in (inputs, channels))
        first = options.stem or inputs
        self.stem = nn.Conv2d(inputs, first, 3, padding=1) if options.stem else nn.Identity()
        for name, embedder in (embedders or {}).items():
            self.add_module(name, embedder)

        ins = [first, *widths[:-1]]
        self.down_levels = nn.ModuleList(
            _Level(options, a, b, r, within) for a, b, r in zip(ins, widths, reductions, strict=False)
        )
        self.downs = nn.ModuleList(self._down(width) for width in widths[:downs])
        bottleneck = options.bottleneck or 2 * widths[-1]
        self.bottleneck = _Level(options, widths[-1], bottleneck, reductions[-1], embedding)
        add = options.skips == "add"
        outs = [options.stem or widths[0], *widths[:-1]] if add else list(widths)  # what each level gives on the way up
        froms = [*outs[1:], bottleneck]
        self.ups = nn.ModuleList(
            self._up(a, b, halved=index < downs) for index, (a, b) in enumerate(zip(froms, widths, strict=True))
        )
        self.up_levels = nn.ModuleList(
            _Level(options, b if add else 2 * b, c, r, within)
            for b, c, r in zip(widths, outs, reductions, strict=False)
        )
        self.out = nn.Conv2d(outs[0], channels, 1)

    def _down(self, width: int) -> nn.Module:
        return nn.MaxPool2d(2) if self.shape.resample == "pool" else nn.Conv2d(width, width, 4, stride=2, padding=1)

    def _up(self, channels: int, out: int, *, halved: bool) -> nn.Module:
        if not halved:
            return nn.Identity() if channels == out else nn.Conv2d(channels, out, 1)
        if self.shape.resample == "pool":
            return nn.ConvTranspose2d(channels, out, 2, stride=2)
        return nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1)

    def walk(
        self, x: Tensor, embedding: Tensor | None, latent: LatentMap | None = None, z: Tensor | None = None
    ) -> Tensor:
        """Down and up again; a latent vector comes in where the picture is smallest."""
        x, skips = self.stem(F.pixel_unshuffle(x, self.shape.patch)), []
        for index, down_level in enumerate(self.down_levels):
            x = down_level(x, embedding)
            skips.append(x)
            if index < len(self.downs):
                x = self.downs[index](x)
        x = self.bottleneck(x if latent is None else latent(x, z), embedding)
        for up, up_level in zip(reversed(self.ups), reversed(self.up_levels), strict=True):
            x, skip = up(x), skips.pop()
            x = up_level(x + skip if self.shape.skips == "add" else torch.cat([x, skip], dim=1), embedding)
        result: Tensor = F.pixel_shuffle(self.out(x), self.shape.patch)
        return result.float()


@DENOISERS.add("unet")
class UNet(_Trunk, Denoiser):
    """x_t and what is given besides, concatenated, in; the prediction out."""

    Options = UNetOptions
    time: nn.Module
    labels: nn.Embedding | None

    def __init__(self, options: UNetOptions, channels: int, classes: int, given: int = 1) -> None:
        size = options.time_embedding
        if size % 2:
            raise ConfigError(f"time_embedding = {size}: must be even")
        embedders = {
            "time": nn.Sequential(nn.Linear(size, size), nn.SiLU(), nn.Linear(size, size), nn.SiLU()),
            "labels": nn.Embedding(classes + 1, size) if classes else None,  # the last one means "unknown"
        }
        everywhere = options.time_in == "blocks"
        super().__init__(options, channels + given, channels, embedders, size, everywhere=everywhere)
        self.options, self.jumps = options, options.jumps
        self.jump = nn.Parameter(torch.zeros(size)) if options.jumps else None

    def forward(self, x_t: Tensor, level: Level, features: Features, labels: Tensor | None = None) -> Tensor:
        embedding = self.time(sinusoids(level.t.flatten(), self.options.time_embedding))
        if self.labels is not None:
            known = labels if labels is not None else torch.full((len(x_t),), -1, device=x_t.device)
            embedding = embedding + self.labels(torch.where(known < 0, self.labels.num_embeddings - 1, known))
        if self.jump is not None:
            embedding = embedding + level.asked() * self.jump
        return self.walk(torch.cat([x_t, *features], dim=1), embedding)


@PAINTERS.add("unet")
class PaintingUNet(_Trunk, Painter):
    """The gray photograph in, its colour out; skips carry the gray alone, a latent vector enters at the bottleneck."""

    Options = UNetShape

    def __init__(self, options: UNetShape, channels: int, latent: int = 0) -> None:
        super().__init__(options, 1, channels)
        self.latent = LatentMap(latent, options.features[-1]) if latent else None

    def forward(self, gray: Tensor, z: Tensor | None = None) -> Tensor:
        return self.walk(gray, None, self.latent, z)


def _reductions(options: UNetShape) -> list[int]:
    """By how much each level's pictures are smaller than the network's, and the bottleneck's, which may be the last level's."""
    return [options.patch * 2**index for index in range(len(options.features) + options.bottleneck_down)]


def _check(options: UNetShape) -> None:
    """What the bounds of single options can't say."""
    if not options.features:
        raise ConfigError("features: at least one width is needed")
    reductions = _reductions(options)
    for reduction in options.attention:
        if reduction not in reductions:
            there = ", ".join(map(str, reductions))
            raise ConfigError(f"attention = {reduction}: no level has that reduction. There are: {there}")
