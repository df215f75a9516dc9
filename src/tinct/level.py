"""The noise level: what networks, schedules and samplers agree on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Level:
    """One noise level: x_t = alpha x_0 + sigma eps, at position t of its schedule.

    In sampling its parts are floats, in training tensors (B, 1, 1, 1), one level per picture. `jump` 1 asks a network that has
    learned it for the end of the walk from x_t; 0, and every other network, is asked for the mean of all x_0 it may come from.
    """

    t: Any
    alpha: Any
    sigma: Any
    jump: Any = 0.0

    @property
    def ratio(self) -> Any:
        """s = sigma / alpha: 0 for the clean picture."""
        return self.sigma / self.alpha

    def jumping(self) -> Level:
        """The same level, asked for the end."""
        return replace(self, jump=1.0)

    def asked(self) -> Tensor:
        """`jump` of each picture, where the parts are tensors: (B, 1)."""
        jump: Tensor = (self.jump + torch.zeros_like(self.ratio)).view(-1, 1)
        return jump

    def batched(self, like: Tensor) -> Level:
        """The same level as tensors (B, 1, 1, 1) of float32, for a batch `like` (B, ...)."""
        shape = (like.shape[0], 1, 1, 1)
        parts = (self.t, self.alpha, self.sigma, self.jump)
        return Level(*(torch.as_tensor(part, dtype=torch.float32, device=like.device).expand(shape) for part in parts))


CLEAN = Level(t=-1.0, alpha=1.0, sigma=0.0)
