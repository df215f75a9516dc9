"""Blocks that the networks share. Shapes are (B, C, H, W); an embedding is (B, E)."""

from __future__ import annotations

from math import gcd, log

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinct.errors import ConfigError


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalization with at most 32 groups of at least four channels (Wu and He 2018)."""
    return nn.GroupNorm(gcd(32, max(1, channels // 4), channels), channels)


class PixelNorm(nn.Module):
    """Root mean square over the channels of each pixel, with a learned gain (Zhang and Sennrich 2019).

    Unlike group normalization it keeps what is constant over the picture: in chroma that is half of the signal.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-6)
        normalized: Tensor = x * scale * self.gain.to(x.dtype)
        return normalized


def sinusoids(value: Tensor, size: int, base: float = 10_000.0) -> Tensor:
    """Sines and cosines of `value` (B,) at size / 2 frequencies from 1 to 1 / base (Vaswani et al. 2017, 3.5); (B, size)."""
    frequencies = torch.exp(-log(base) * torch.arange(size // 2, device=value.device) / (size // 2))
    angles = value[:, None].float() * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with zero weights, so that the block around it starts as the identity."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class ResBlock(nn.Module):
    """norm, SiLU, conv, twice, around a skip; an embedding (if any) scales and shifts between them (FiLM, Perez et al. 2018)."""

    def __init__(
        self,
        channels: int,
        out: int | None = None,
        *,
        embedding: int = 0,
        dropout: float = 0.0,
        pixel_norm: bool = False,
    ) -> None:
        super().__init__()
        out = out or channels
        norm = PixelNorm if pixel_norm else group_norm
        self.norm_in, self.norm_out = norm(channels), norm(out)
        self.conv_in = nn.Conv2d(channels, out, 3, padding=1)
        self.conv_out = zeroed(nn.Conv2d(out, out, 3, padding=1))
        self.film = nn.Linear(embedding, 2 * out) if embedding else None
        self.dropout = nn.Dropout(dropout)
        self.skip = nn.Identity() if out == channels else nn.Conv2d(channels, out, 1)

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        h = self.norm_out(self.conv_in(F.silu(self.norm_in(x))))
        if self.film is not None:
            assert embedding is not None
            scale, shift = self.film(embedding)[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        out: Tensor = self.skip(x) + self.conv_out(self.dropout(F.silu(h)))
        return out


class Attention(nn.Module):
    """Self-attention over the pixels, with normalized queries and keys, around a skip (Dehghani et al. 2023, 2302.05442)."""

    def __init__(self, channels: int, heads: int = 4, *, pixel_norm: bool = False) -> None:
        super().__init__()
        if channels % heads:
            raise ConfigError(f"width {channels}: must divide by {heads}, the heads of its attention")
        self.heads = heads
        self.norm = PixelNorm(channels) if pixel_norm else group_norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).view(b, 3, self.heads, c // self.heads, h * w)
        q, k, v = qkv.transpose(-1, -2).unbind(1)  # (B, heads, HW, C / heads)
        q, k = (F.rms_norm(part, part.shape[-1:]).to(v.dtype) for part in (q, k))
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(-1, -2).reshape(b, c, h, w)
        attended: Tensor = x + self.out(mixed)
        return attended


class LatentMap(nn.Module):
    """Adds a latent vector (B, Z) to features of any size: a linear layer gives 4 x 4 cells, brought to that size."""

    cells = 4  # each way: where in the picture which colour is, without a fixed size of picture

    def __init__(self, latent: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(latent, channels * self.cells**2)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        cells = self.linear(z).unflatten(1, (-1, self.cells, self.cells))  # (B, C, 4, 4)
        added: Tensor = x + F.interpolate(cells, x.shape[-2:], mode="bilinear")
        return added
