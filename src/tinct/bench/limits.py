"""What this machine's CPU does at best, measured: convolutions, matrix products, memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from tinct.bench.records import Limit
from tinct.threads import on_one

Limits = dict[str, Limit]  # by name

CONVOLUTION, PRODUCT, MEMORY = "convolution", "matrix product", "memory"
ONE, ALL = "one thread", "all threads"
_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_BATCH, _CHANNELS, _SIDE = 32, 128, 16  # of the convolution: the middle of the networks at hand
_MATRIX = 1024
_BYTES = 2**27  # that are copied: beyond every cache
_SECONDS = 0.15  # of each try


def measured() -> Iterator[Limit]:
    """Each limit by one thread and by all of them: the best of some tries, as what disturbs only makes it slower."""
    for threads, place in ((ONE, on_one), (ALL, _here)):
        for name, dtype in _TYPES.items():
            yield Limit(named(CONVOLUTION, name, threads), place(partial(_convolution, dtype)), "GFLOP/s")
            yield Limit(named(PRODUCT, name, threads), place(partial(_product, dtype)), "GFLOP/s")
        yield Limit(named(MEMORY, threads), place(_copying), "GB/s")


def named(*parts: str) -> str:
    """The name of a limit: what, in which numbers, by which threads."""
    return ", ".join(parts)


def _here(function: Callable[[], float]) -> float:
    return function()


@torch.inference_mode()
def _convolution(dtype: torch.dtype) -> float:
    """Operations a second of a 3x3 convolution."""
    x = torch.randn(_BATCH, _CHANNELS, _SIDE, _SIDE).to(dtype, memory_format=torch.channels_last)
    weight = torch.randn(_CHANNELS, _CHANNELS, 3, 3).to(dtype, memory_format=torch.channels_last)
    return 2 * 9 * _CHANNELS**2 * _BATCH * _SIDE**2 / best(lambda: F.conv2d(x, weight, padding=1))


@torch.inference_mode()
def _product(dtype: torch.dtype) -> float:
    """Operations a second of a product of square matrices."""
    one, other = torch.randn(2, _MATRIX, _MATRIX).to(dtype)
    return 2 * _MATRIX**3 / best(lambda: one @ other)


@torch.inference_mode()
def _copying() -> float:
    """Bytes a second, read and written, of a copy."""
    source, target = torch.zeros(2, _BYTES // 4)
    return 2 * _BYTES / best(lambda: target.copy_(source))


def best(function: Callable[[], Tensor | object], seconds: float = _SECONDS) -> float:
    """The least seconds that it took, of three tries or as many as fit, after a first one."""
    function()
    taken, until = list[float](), time.perf_counter() + seconds
    while len(taken) < 3 or time.perf_counter() < until:
        started = time.perf_counter()
        function()
        taken.append(time.perf_counter() - started)
    return min(taken)
