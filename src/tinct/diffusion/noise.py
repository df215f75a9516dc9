"""Randomness, injected: one generator per picture, on the CPU, so that batch size and device don't change a picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


def randn(generators: Sequence[Generator], *shape: int) -> Tensor:
    """Unit Gaussian noise (B, *shape) on the CPU, each picture's from its own generator."""
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators])


def rand(generators: Sequence[Generator], *shape: int) -> Tensor:
    """Uniform numbers in [0, 1), (B, *shape), on the CPU, each picture's from its own generator."""
    return torch.stack([torch.rand(shape, generator=generator) for generator in generators])


def generators_for(seeds: Sequence[int]) -> list[Generator]:
    """One CPU generator per seed: the same seed gives the same picture at any batch size, on any device."""
    return [Generator().manual_seed(seed) for seed in seeds]
