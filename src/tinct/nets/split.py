"""The split network: an encoder that looks at the photograph once, and a light denoiser of its chroma, run every step.

Sizes for a photograph of 64 px: luma 64, chroma grid 32; the encoder works at 32, 16 and 8, the denoiser at 16 and 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinct.config import option
from tinct.errors import ConfigError
from tinct.level import Level
from tinct.nets.base import DENOISERS, Denoiser, Features
from tinct.nets.blocks import Attention, PixelNorm, ResBlock

ANGLES = 64  # sines and cosines that a level is shown as


@dataclass(frozen=True)
class SplitOptions:
    """Widths of the split network."""

    encoder: tuple[int, ...] = option(
        (40, 112, 208), "widths of the encoder at 1/2, 1/4 and 1/8 of the photograph", low=8
    )
    denoiser: tuple[int, ...] = option((64, 128), "widths of the denoiser at 1/4 and 1/8 of the photograph", low=8)
    deep_blocks: int = option(4, "residual blocks of the encoder at 1/8", low=1)
    dropout: float = option(0.0, "dropout in the encoder at 1/8", low=0.0, high=0.9)
    mean_path: bool = option(False, "the mean of x_t goes to that of the prediction by a way of its own")
    jumps: bool = option(False, "can also be asked for the end of a walk, for samplers of few steps")


class _Encoder(nn.Module):
    """Luma (B, 1, H, W) -> features at 1/2, 1/4, 1/8 and the mean chroma at 1/2."""

    def __init__(self, widths: tuple[int, ...], deep_blocks: int, dropout: float, channels: int) -> None:
        super().__init__()
        fine, middle, deep = widths
        self.stem = nn.Conv2d(4, fine, 3, padding=1)
        self.fine = ResBlock(fine, pixel_norm=True)
        self.to_middle = nn.Conv2d(fine, middle, 2, stride=2)
        self.middle = nn.Sequential(*(ResBlock(middle, pixel_norm=True) for _ in range(2)))
        self.to_deep = nn.Conv2d(middle, deep, 2, stride=2)
        layers: list[nn.Module] = []
        for index in range(deep_blocks):
            layers.append(ResBlock(deep, dropout=dropout, pixel_norm=True))
            if index % 2:
                layers.append(Attention(deep, pixel_norm=True))
        self.deep = nn.Sequential(*layers)
        self.from_deep = nn.Conv2d(deep, middle, 1)
        self.middle_up = ResBlock(middle, pixel_norm=True)
        self.from_middle = nn.Conv2d(middle, fine, 1)
        self.fine_up = ResBlock(fine, pixel_norm=True)
        self.head = nn.Sequential(PixelNorm(fine), nn.SiLU(), nn.Conv2d(fine, channels, 3, padding=1))

    def forward(self, gray: Tensor) -> Features:
        fine = self.fine(self.stem(F.pixel_unshuffle(gray, 2)))  # (B, fine, H/2, W/2)
        middle = self.middle(self.to_middle(fine))  # (B, middle, H/4, W/4)
        deep = self.deep(self.to_deep(middle))  # (B, deep, H/8, W/8)
        middle = self.middle_up(middle + F.interpolate(self.from_deep(deep), scale_factor=2.0))
        fine = self.fine_up(fine + F.interpolate(self.from_middle(middle), scale_factor=2.0))
        return fine, middle, deep, self.head(fine).float()


class _LevelEmbedding(nn.Module):
    """(angles of ln s, mean of x_t, jump) -> (B, E). At s = 20 the mean is hardly seen in any single pixel."""

    def __init__(self, channels: int, size: int, jumps: bool) -> None:
        super().__init__()
        self.level = nn.Linear(ANGLES, size)
        self.average = nn.Linear(channels, size)
        self.out = nn.Linear(size, size)
        self.jump = nn.Parameter(torch.zeros(2, size)) if jumps else None

    def forward(self, angles: Tensor, mean: Tensor, area: int, jump: Tensor) -> Tensor:
        hidden = self.level(angles) + self.average(mean * area**0.5)  # unit noise whatever the size of the picture
        if self.jump is not None:
            hidden = hidden + jump * self.jump[0]
        embedding: Tensor = self.out(F.silu(hidden))
        if self.jump is not None:
            embedding = embedding + jump * self.jump[1]
        return F.silu(embedding)


class _MeanColour(nn.Module):
    """What the mean of x_t (B, C) says of that of the prediction, by a linear map of each level: deeper layers overlook it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Linear(ANGLES, channels * channels)
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.gain.bias)

    def forward(self, angles: Tensor, mean: Tensor, area: int, ratio: Tensor) -> Tensor:
        squared = ratio.square()[:, None]
        unit = mean * torch.sqrt((1 + squared) / (0.5 + squared / area))  # the mean of x_t / alpha, of variance 1
        gain: Tensor = self.gain(angles).view(-1, mean.shape[1], mean.shape[1])
        return (gain * unit[:, None]).sum(dim=-1)


class _Decoder(nn.Module):
    """The denoiser's network: x_t (B, C, h, w) on the chroma grid, with the encoder's features."""

    def __init__(self, options: SplitOptions, channels: int) -> None:
        super().__init__()
        (outer, inner), encoder = options.denoiser, options.encoder
        size = 2 * inner
        self.frequencies: Tensor
        self.register_buffer("frequencies", torch.logspace(-2, 4, ANGLES // 2, base=2.0), persistent=False)
        self.embedding = _LevelEmbedding(channels, size, options.jumps)
        self.from_features = nn.ModuleList([
            nn.Conv2d(encoder[0], 24, 1), nn.Conv2d(encoder[1], outer, 1), nn.Conv2d(encoder[2], inner, 1)
        ])  # fmt: skip
        self.stem = nn.Conv2d(4 * channels, outer, 3, padding=1)
        self.outer_in = ResBlock(outer, embedding=size, pixel_norm=True)
        self.down = nn.Conv2d(outer, inner, 2, stride=2)
        self.inner = nn.ModuleList(ResBlock(inner, embedding=size, pixel_norm=True) for _ in range(3))
        self.attention = Attention(inner, pixel_norm=True)
        self.up = nn.Conv2d(inner, outer, 1)
        self.outer_out = ResBlock(outer, embedding=size, pixel_norm=True)
        self.to_grid = nn.Conv2d(outer, 4 * 24, 1)
        self.last = nn.Sequential(
            nn.Conv2d(48 + channels, 24, 3, padding=1), nn.SiLU(), nn.Conv2d(24, channels, 3, padding=1)
        )
        self.average = nn.Linear(size, channels)
        nn.init.zeros_(self.average.weight)
        nn.init.zeros_(self.average.bias)
        self.mean_colour = _MeanColour(channels) if options.mean_path else None

    def forward(self, x_t: Tensor, ratio: Tensor, jump: Tensor, fine: Tensor, middle: Tensor, deep: Tensor) -> Tensor:
        phase = torch.log(ratio)[:, None] / 4 * self.frequencies
        angles = torch.cat([phase.sin(), phase.cos()], dim=1)
        mean, area = x_t.mean(dim=(2, 3)), x_t.shape[-1] * x_t.shape[-2]
        embedding = self.embedding(angles, mean, area, jump)
        grid, outer, inner = (layer(part) for layer, part in zip(self.from_features, (fine, middle, deep), strict=True))
        outer = self.outer_in(self.stem(F.pixel_unshuffle(x_t, 2)) + outer, embedding)  # (B, outer, h/2, w/2)
        inner = self.inner[0](self.down(outer) + inner, embedding)  # (B, inner, h/4, w/4)
        inner = self.inner[1](self.attention(inner), embedding)
        inner = self.inner[2](inner, embedding)
        outer = self.outer_out(outer + F.interpolate(self.up(inner), scale_factor=2.0), embedding)
        details = torch.cat([F.pixel_shuffle(self.to_grid(outer), 2), grid, x_t.to(grid.dtype)], dim=1)
        average = self.average(embedding).float()
        if self.mean_colour is not None:
            average = average + self.mean_colour(angles, mean, area, ratio).float()
        prediction: Tensor = self.last(details).float() + average[:, :, None, None]
        return prediction


@DENOISERS.add("split")
class Split(Denoiser):
    """Encoder once, denoiser every step, and a head for the mean; chroma at half of the photograph's size."""

    Options = SplitOptions
    reduction = 2
    multiple = 8

    def __init__(self, options: SplitOptions, channels: int, classes: int, given: int = 1) -> None:
        super().__init__()
        _check(options, classes, given)
        self.encoder = _Encoder(options.encoder, options.deep_blocks, options.dropout, channels)
        self.decoder = _Decoder(options, channels)
        self.summary_width, self.jumps = options.encoder[-1], options.jumps

    def encode(self, gray: Tensor) -> Features:
        features: Features = self.encoder(gray)
        return features

    def mean(self, features: Features) -> Tensor:
        return features[3]

    def likeness(self, features: Features) -> Tensor:
        fine, middle = (F.normalize(feature.float(), dim=1) for feature in features[:2])
        middle = F.interpolate(middle, fine.shape[-2:], mode="bilinear")
        return torch.cat([fine, middle], dim=1) / 0.8  # docs/experiments.md

    def keep_encoder(self) -> None:
        self.encoder.requires_grad_(False)
        for module in self.encoder.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0

    def summary(self, features: Features) -> Tensor:
        return features[2].float().mean(dim=(2, 3))

    def forward(self, x_t: Tensor, level: Level, features: Features, labels: Tensor | None = None) -> Tensor:
        prediction: Tensor = self.decoder(x_t, level.ratio.flatten(), level.asked(), *features[:3])
        return prediction

    def stages(self) -> list[nn.Module]:
        return [self.encoder, self.decoder]


def _check(options: SplitOptions, classes: int, given: int) -> None:
    if not given:
        raise ConfigError(
            "backbone = split: it sees a photograph, so it can't make pictures from noise alone; set unet"
        )
    if classes:
        raise ConfigError("classes: the backbone 'split' is conditioned on the photograph alone; set 0")
    for name, widths, count in (("encoder", options.encoder, 3), ("denoiser", options.denoiser, 2)):
        if len(widths) != count:
            raise ConfigError(f"{name} = {','.join(map(str, widths))}: expected {count} widths")
