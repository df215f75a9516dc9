"""How the denoiser of a diffusion family learns, and the rows of the families that are trained so.

Legend as in `tinct.diffusion`: x_0 colour in network units, x_t = alpha x_0 + sigma eps. B pictures, each at K noise levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinct.color import luma
from tinct.config import option
from tinct.diffusion import Level, diffuse
from tinct.diffusion.noise import rand, randn
from tinct.errors import ConfigError
from tinct.families.base import FAMILIES, Batch, Colorizer, Losses, Objective
from tinct.families.diffusion import (
    DdimOptions,
    DiffusionColorizer,
    DiffusionOptions,
    SplitOptions,
    repeated,
    unit_gray,
)
from tinct.families.judging import (
    AdversarialOptions,
    Adversary,
    Discriminator,
    Perceptual,
    PerceptualOptions,
    Shown,
)
from tinct.losses import WEIGHTINGS, trust
from tinct.nets.base import Features


@dataclass(frozen=True)
class DiffusionLosses:
    """What is minimized besides the options of the model."""

    mse: float = option(1.0, "weight of the mean squared error of the prediction; 0 = off", low=0.0)
    weighting: str = option("none", "of noise levels in the mean squared error", choices=lambda: list(WEIGHTINGS))
    snr_gamma: float = option(5.0, "the signal-to-noise ratio that min-snr cuts at", low=1e-3)
    perceptual: PerceptualOptions = PerceptualOptions()
    adversarial: AdversarialOptions = AdversarialOptions()

    def feature_networks(self) -> list[str]:
        """See Losses."""
        return self.perceptual.feature_networks()


@dataclass(frozen=True)
class _Drawn:
    """What the network gave at the levels that were drawn: all (B K, C, h, w) but the level."""

    prediction: Tensor
    wanted: Tensor
    x_t: Tensor
    level: Level


class Denoising(Objective):
    """Mean squared error of the prediction at levels drawn uniformly over the schedule (Ho et al. 2020, eq. 14).

    The perceptual and the adversarial loss look at the picture that the prediction's estimate of x_0 stands for: clamped to
    the range of the colour space, as sampling does it, and in a space of chroma joined to the photograph's own luma, so that
    nothing but colour is judged. The truth goes the same way, and each estimate counts as `losses.trust` says.
    """

    name = "denoiser"

    def __init__(
        self,
        model: DiffusionColorizer,
        losses: DiffusionLosses,
        categories: int,
        perceptual: Perceptual | None = None,
        adversary: Adversary | None = None,
    ) -> None:
        super().__init__()
        self.model, self.losses = model, losses
        self._perceptual, self._adversary = perceptual, adversary
        self.last_onset = max(part.from_stage if part.weight else 1 for part in (losses.perceptual, losses.adversarial))
        if not self._in_effect():
            raise ConfigError("loss: nothing is minimized in stage 1. Set loss.mse=1, or another weight above 0")
        if 0 < model.options.classes < categories:
            raise ConfigError(f"classes = {model.options.classes}: the set has {categories} categories; 0 = none")
        width, weighted = model.network.summary_width, model.options.category_weight > 0
        if weighted and not width:
            raise ConfigError(
                f"category_weight: the backbone '{model.options.backbone}' has no encoder to teach; set 0"
            )
        self.guess = nn.Linear(width, categories) if weighted else None  # only training needs it

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Losses "mse" (1 = nothing learned, with unit-variance targets), "perceptual" and "adversarial" where they count,
        "mean" with a mean head, "category" if weighted.
        """
        model, options, gray = self.model, self.model.options, luma(batch.rgb).float()
        x_0 = F.avg_pool2d(model.space.encode(batch.rgb.float()), model.network.reduction)
        features = model.network.encode(unit_gray(gray))
        drawn = self._drawn(batch, x_0, features)
        losses = self._error(drawn) | self._judged(drawn, x_0, gray)
        mean = model.network.mean(features)
        if mean is not None:
            losses["mean"] = options.mean_weight * F.mse_loss(mean, x_0)
        if self.guess is not None:
            scores = self.guess(model.network.summary(features))
            losses["category"] = options.category_weight * F.cross_entropy(scores, batch.labels, label_smoothing=0.1)
        return losses

    def loss_state(self) -> dict[str, Any]:
        """See Objective: the weights that count in this stage."""
        weights = self._in_effect()
        return {
            "mse_weight": weights.get("mse", 0.0),
            "perceptual_weight": weights.get("perceptual", 0.0),
            "adversarial_weight": weights.get("adversarial", 0.0),
            "use_gan": "adversarial" in weights,
        }

    def _in_effect(self) -> dict[str, float]:
        """The weights above 0 of what counts in this stage."""
        seen, game = self.losses.perceptual, self.losses.adversarial
        weights = {
            "mse": self.losses.mse,
            "perceptual": seen.weight if self.stage >= seen.from_stage else 0.0,
            "adversarial": game.weight if self.stage >= game.from_stage else 0.0,
        }
        return {name: weight for name, weight in weights.items() if weight}

    def _error(self, drawn: _Drawn) -> dict[str, Tensor]:
        if not self.losses.mse:
            return {}
        weight = WEIGHTINGS[self.losses.weighting](drawn.level, self.model.target, self.losses.snr_gamma)
        return {"mse": self.losses.mse * (weight * (drawn.prediction - drawn.wanted).square()).mean()}

    def _judged(self, drawn: _Drawn, x_0: Tensor, gray: Tensor) -> dict[str, Tensor]:
        """The losses that look at pictures; in training, the discriminator is shown the same ones."""
        weights, model, losses = self._in_effect(), self.model, {}
        if not {"perceptual", "adversarial"} & weights.keys():
            return {}
        limit, trusted = model.space.limit, trust(drawn.level)
        estimate = model.target.x_0(drawn.prediction, drawn.x_t, drawn.level).clamp(-limit, limit)
        grays = gray.repeat_interleave(len(estimate) // len(gray), dim=0)
        results, truths = (model.space.picture(x, y) / 127.5 - 1 for x, y in ((estimate, grays), (x_0, gray)))
        if "perceptual" in weights:
            assert self._perceptual is not None
            losses["perceptual"] = weights["perceptual"] * (trusted * self._perceptual(results, truths)).mean()
        if "adversarial" in weights:
            assert self._adversary is not None
            fooled = self._adversary.fooled(unit_gray(gray), results)
            losses["adversarial"] = weights["adversarial"] * (trusted * fooled).mean()
            if self.training:
                self._adversary.shown.append(Shown(unit_gray(gray), results.detach(), truths, trusted))
        return losses

    def _drawn(self, batch: Batch, x_0: Tensor, features: Features) -> _Drawn:
        """Prediction and target at K levels per picture, one from each K-th of the schedule."""
        model, count = self.model, self.model.options.levels_per_picture
        strata = (torch.arange(count) + rand(batch.generators, count)) / count
        t = (strata.flatten() * len(model.schedule)).long().clamp(max=len(model.schedule) - 1).to(x_0.device)
        eps = randn(batch.generators, count, *x_0.shape[1:]).flatten(0, 1).to(x_0.device)
        x_0, labels = x_0.repeat_interleave(count, dim=0), self._labels(batch).repeat_interleave(count)
        level = model.schedule.levels(t)
        x_t = diffuse(x_0, eps, level)
        prediction = model.network(x_t, level, repeated(features, count), labels)
        return _Drawn(prediction, model.target.of(x_0, eps, level), x_t, level)

    def _labels(self, batch: Batch) -> Tensor:
        """The labels (B,), where the model takes them a tenth as -1, so that it also knows how to do without."""
        if not self.model.options.classes:
            return batch.labels
        hidden = rand(batch.generators, 1).flatten().to(batch.labels.device) < 0.1  # Ho and Salimans 2022, 2207.12598
        return batch.labels.masked_fill(hidden, -1)


class DiffusionFamily:
    """A row of the table: diffusion with these options."""

    Losses: type[Losses] = DiffusionLosses

    def __init__(self, options: type[DiffusionOptions]) -> None:
        self.Options = options

    def build(self, options: DiffusionOptions) -> DiffusionColorizer:
        """See Family."""
        return DiffusionColorizer(options)

    def objectives(
        self, model: Colorizer, losses: DiffusionLosses, categories: int, feature_weights: Path | None = None
    ) -> list[Objective]:
        """See Family: the denoiser, and the discriminator where the adversarial loss has a weight."""
        assert isinstance(model, DiffusionColorizer)
        seen, game, size = losses.perceptual, losses.adversarial, model.working_size
        perceptual = Perceptual(seen, feature_weights, size) if seen.weight else None
        adversary = Adversary(game, size) if game.weight else None
        denoising = Denoising(model, losses, categories, perceptual, adversary)
        return [denoising, Discriminator(adversary)] if adversary else [denoising]


FAMILIES.add("unetddpm")(DiffusionFamily(DiffusionOptions))
FAMILIES.add("unetddim")(DiffusionFamily(DdimOptions))
FAMILIES.add("splitdpm")(DiffusionFamily(SplitOptions))
