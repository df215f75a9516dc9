"""The moving average of the weights."""

from __future__ import annotations

import copy

import torch

from tinct.families import Model


class Ema:
    """Keeps `average`, a copy of the model whose weights follow it slowly (Polyak and Juditsky 1992)."""

    def __init__(self, model: Model, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.average: Model = copy.deepcopy(model).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Moves the average towards the model; the first updates move it further, so that it forgets the start."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averages, values = list(self.average.state_dict().values()), list(model.state_dict().values())
        floats = [index for index, value in enumerate(values) if value.is_floating_point()]
        torch._foreach_lerp_([averages[index] for index in floats], [values[index] for index in floats], 1 - decay)
        for index, value in enumerate(values):
            if not value.is_floating_point():
                averages[index].copy_(value)
