"""LPIPS: the distance of two pictures as a feature network sees it, weighted to agree with people's judgement."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from tinct.metrics.base import metric
from tinct.nets.taps import Taps, imagenet_units

_STRIP_NUMBERS = 1 << 22  # of a tap compared at once


def _of_levels(truth: Tensor, result: Tensor, network: Taps, backbone: str) -> Tensor:
    """LPIPS of pictures in 0..255."""
    with torch.no_grad():
        return lpips(truth.float() / 127.5 - 1, result.float() / 127.5 - 1, network, heads(backbone)).double()


@metric(
    "lpips-squeeze", better="lower", unit="1", digits=3, features="squeezenet1_1", smallest_side=17, shares_truth=True
)
def lpips_squeeze(truth: Tensor, result: Tensor, network: Taps) -> Tensor:
    """LPIPS 0.1 through SqueezeNet 1.1 (Zhang et al. 2018, 1801.03924, equation 1), at the pictures' own size."""
    return _of_levels(truth, result, network, "squeeze")


@metric("lpips-alex", better="lower", unit="1", digits=3, features="alexnet", smallest_side=31, shares_truth=True)
def lpips_alex(truth: Tensor, result: Tensor, network: Taps) -> Tensor:
    """LPIPS 0.1 through AlexNet, at the pictures' own size."""
    return _of_levels(truth, result, network, "alex")


@metric("lpips-vgg", better="lower", unit="1", digits=3, features="vgg16-relu5_3", smallest_side=16, shares_truth=True)
def lpips_vgg(truth: Tensor, result: Tensor, network: Taps) -> Tensor:
    """LPIPS 0.1 through VGG16, at the pictures' own size."""
    return _of_levels(truth, result, network, "vgg")


def lpips(first: Tensor, second: Tensor, network: Taps, weights: tuple[Tensor, ...]) -> Tensor:
    """LPIPS (N,) of pictures (N, 3, H, W) in [-1, 1]; `weights` has one (C,) per tap of the network.

    first: as many, or B of them, each the partner of N / B in a row.
    """
    total = second.new_zeros(len(second))
    walks = network.walk(imagenet_units(first)), network.walk(imagenet_units(second))
    for one, other, weight in zip(*walks, weights, strict=True):  # each (., C, h, w)
        total = total + _distance(one, other, weight)
    return total


def _distance(one: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """The weighted squared difference (N,) of taps (B, C, h, w) and (N, C, h, w), mean over places, in bounded strips."""
    height, width = one.shape[2:]
    each = len(other) // len(one)
    rows = max(1, _STRIP_NUMBERS // (other[:, :, 0].numel()))
    strips = zip(one.split(rows, dim=2), other.split(rows, dim=2), strict=True)  # type: ignore[no-untyped-call]
    differences = ((_unit(a).repeat_interleave(each, dim=0) - _unit(b)).square() for a, b in strips)
    sums = [torch.einsum("nchw,c->n", difference, weight) for difference in differences]
    return torch.stack(sums).sum(dim=0) / (height * width)


@cache
def heads(backbone: str) -> tuple[Tensor, ...]:
    """The learned weights (C,) of each tap that torchmetrics ships: for "squeeze", "alex" or "vgg"."""
    package = find_spec("torchmetrics")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "functional" / "image" / "lpips_models" / f"{backbone}.pth"
    state = torch.load(path, map_location="cpu", weights_only=True)
    return tuple(state[f"lin{tap}.model.1.weight"].flatten() for tap in range(len(state)))


def _unit(features: Tensor) -> Tensor:
    """Features (N, C, h, w) with a length of 1 over the channels at each place."""
    return features / (features.square().sum(dim=1, keepdim=True) + 1e-8).sqrt()
