"""Courses of the learning rate: the share of the rate at `progress`, 0 at the start to 1 at the end of training."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi

from tinct.registry import Registry

RATES: Registry[Callable[[float], float]] = Registry("learning rate course")


@RATES.add("constant")
def constant(progress: float) -> float:
    """Always the whole rate."""
    return 1.0


@RATES.add("cosine")
def cosine(progress: float) -> float:
    """Down to 0 along half a cosine (Loshchilov and Hutter 2017, eq. 5, without restarts)."""
    return (1 + cos(pi * progress)) / 2


@RATES.add("linear-tail")
def linear_tail(progress: float) -> float:
    """Constant, then down to 0 over the last fifth: the run can be branched or prolonged anywhere before."""
    return min(1.0, (1 - progress) / 0.2)


@RATES.add("linear")
def linear(progress: float) -> float:
    """Down to 0 along a line: for a last stage that starts from weights."""
    return 1 - progress
