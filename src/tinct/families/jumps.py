"""Jumps: how a denoiser learns to guess, besides the mean of x_0, where a walk from x_t ends; so that few steps are enough.

Legend as in `tinct.diffusion`. B pictures, each at K levels.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinct.diffusion.noise import rand
from tinct.errors import ConfigError
from tinct.families.base import Batch
from tinct.families.diffusion import FEW, DiffusionModel, repeated, shown_labels
from tinct.nets.base import Features


class Teacher(nn.Module):
    """The model as it was at the first step, whose walks are shown: one that taught itself as it learns would drift away."""

    def __init__(self, model: DiffusionModel, weight: float) -> None:
        """With the weight of its loss, 0 = no teacher; ConfigError for a network that can't be asked for the end of a walk."""
        super().__init__()
        if weight and not model.network.jumps:
            raise ConfigError(
                f"endpoint: this '{model.options.backbone}' can't be asked for the end of a walk. Add --set jumps=true"
            )
        self.weight = weight
        self.model = copy.deepcopy(model).requires_grad_(False) if weight else None
        self.began: Tensor
        self.register_buffer("began", torch.tensor(False), persistent=weight > 0)

    def losses(self, model: DiffusionModel, batch: Batch, x_0: Tensor, features: Features) -> dict[str, Tensor]:
        """Loss "endpoint": the mean squared error of the model's jumps to where the teacher's walk ends, weighted.

        At the first step the teacher becomes what the model is now. A training that goes on has it already.
        """
        if self.model is None:
            return {}
        if not self.began:
            self.model.load_state_dict(model.state_dict())
            self.began.fill_(True)
        return {"endpoint": self.weight * self._error(self.model, model, batch, x_0, features)}

    def train(self, mode: bool = True) -> Teacher:
        """The teacher itself does not learn: its walks are as sampling makes them."""
        super().train(mode)
        if self.model is not None:
            self.model.eval()
        return self

    def stages(self) -> list[nn.Module]:
        """See Model: the teacher's."""
        return [] if self.model is None else self.model.stages()

    def _error(
        self, teacher: DiffusionModel, model: DiffusionModel, batch: Batch, x_0: Tensor, features: Features
    ) -> Tensor:
        """From x_t of the teacher's walk, at K of its levels.

        The walk is the default one of many steps, by a quarter more or less of them, so that many levels are met. Regression on
        whole trajectories is that of Hu et al. 2025, 2509.24526.
        """
        labels = shown_labels(model, batch)
        options = model.options
        steps = round(max(options.steps, 2 * FEW) * (0.75 + 0.5 * float(rand(batch.generators[:1], 1))))
        walk: dict[str, Any] = {"steps": min(steps, len(model.schedule)), "sampler": options.sampler}
        ratios = torch.tensor([level.ratio for level in model.levels(**walk)[:-1]])
        with torch.no_grad():
            start = model.start(x_0, features, labels)
            states = [*teacher.walk(start, features, labels, batch.generators, **walk, with_start=True)]
        count = min(options.levels_per_picture, len(ratios))
        chosen = rand(batch.generators, len(ratios)).argsort(dim=1)[:, :count]  # (B, K)
        every = torch.stack([state.x_t for state in states[:-1]], dim=1)  # (B, steps, C, h, w)
        x_t = every[torch.arange(len(every))[:, None], chosen].flatten(0, 1)
        level = model.schedule.at_ratios(ratios[chosen].flatten().to(x_t.device))
        end = states[-1].x_0.repeat_interleave(count, dim=0)
        eps = (x_t - level.alpha * end) / level.sigma
        features, labels = repeated(features, count), labels.repeat_interleave(count)
        return F.mse_loss(model.network(x_t, level.jumping(), features, labels), model.target.of(end, eps, level))
