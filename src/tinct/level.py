"""The noise level: what networks, schedules and samplers agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Level:
    """One noise level: x_t = alpha x_0 + sigma eps, at position t of its schedule.

    In sampling its parts are floats, in training tensors (B, 1, 1, 1), one level per picture.
    """

    t: Any
    alpha: Any
    sigma: Any

    @property
    def ratio(self) -> Any:
        """s = sigma / alpha: 0 for the clean picture."""
        return self.sigma / self.alpha

    def batched(self, like: Tensor) -> Level:
        """The same level as tensors (B, 1, 1, 1) of float32, for a batch `like` (B, ...)."""
        shape = (like.shape[0], 1, 1, 1)
        parts = (self.t, self.alpha, self.sigma)
        return Level(*(torch.as_tensor(part, dtype=torch.float32, device=like.device).expand(shape) for part in parts))


CLEAN = Level(t=-1.0, alpha=1.0, sigma=0.0)
