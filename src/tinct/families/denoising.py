"""How the denoiser of a diffusion family learns, and the rows of the families that are trained so.

Legend as in `tinct.diffusion`: x_0 colour in network units, x_t = alpha x_0 + sigma eps. B pictures, each at K noise levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinct.color import luma
from tinct.config import option
from tinct.diffusion import Level, diffuse
from tinct.diffusion.noise import rand, randn
from tinct.errors import ConfigError
from tinct.families.base import FAMILIES, Batch, Colorizer, Comparing, Losses, Objective, unit_gray
from tinct.families.diffusion import (
    DdimOptions,
    DiffusionColorizer,
    DiffusionModel,
    DiffusionOptions,
    SplitOptions,
    repeated,
    shown_labels,
)
from tinct.families.judging import AdversarialOptions, Judged, Judges, PerceptualOptions
from tinct.families.jumps import Teacher
from tinct.losses import WEIGHTINGS, trust
from tinct.nets.base import Features


@dataclass(frozen=True)
class Weighting:
    """How much the noise levels count."""

    weighting: str = option("none", "of noise levels in the mean squared error", choices=lambda: list(WEIGHTINGS))
    snr_gamma: float = option(5.0, "the signal-to-noise ratio that min-snr cuts at", low=1e-3)
    consistency_gap: float = option(
        0.0,
        "tunes a trained model to few steps: it learns its own x_0 from a noise level by so much of it lower, a quarter of "
        "that in each further stage; 0 = it learns the truth",
        low=0.0,
        high=1.0,
    )
    endpoint: float = option(
        0.0,
        "weight of guessing where the walk of the model as it was ends, for samplers of few steps; 0 = off",
        low=0.0,
    )

    def feature_networks(self) -> list[str]:
        """See Losses: none."""
        return []


@dataclass(frozen=True)
class DiffusionLosses(Weighting):
    """What is minimized besides the options of the model."""

    mse: float = option(1.0, "weight of the mean squared error of the prediction; 0 = off", low=0.0)
    perceptual: PerceptualOptions = PerceptualOptions()
    adversarial: AdversarialOptions = AdversarialOptions()

    def feature_networks(self) -> list[str]:
        """See Losses."""
        return self.perceptual.feature_networks()


@dataclass(frozen=True)
class Drawn:
    """What the network gave at the levels that were drawn: all (B K, C, h, w) but the level."""

    prediction: Tensor
    wanted: Tensor
    x_t: Tensor
    level: Level


def drawn(model: DiffusionModel, batch: Batch, x_0: Tensor, features: Features, gap: float = 0.0) -> Drawn:
    """Prediction and target at K levels per picture, one from each K-th of the schedule.

    The target is that of the truth; with a `gap`, that of the model's own x_0 from a lower level: see `agreed`.
    """
    count = model.options.levels_per_picture
    strata = (torch.arange(count) + rand(batch.generators, count)) / count
    t = (strata.flatten() * len(model.schedule)).long().clamp(max=len(model.schedule) - 1).to(x_0.device)
    eps = randn(batch.generators, count, *x_0.shape[1:]).flatten(0, 1).to(x_0.device)
    x_0, labels = x_0.repeat_interleave(count, dim=0), shown_labels(model, batch).repeat_interleave(count)
    level = model.schedule.levels(t)
    x_t, features = diffuse(x_0, eps, level), repeated(features, count)
    prediction = model.network(x_t, level, features, labels)
    if gap:
        x_0 = agreed(model, x_0, eps, level, gap, features, labels)
        eps = (x_t - level.alpha * x_0) / level.sigma  # of the x_0 that is now wanted
    return Drawn(prediction, model.target.of(x_0, eps, level), x_t, level)


@torch.no_grad()
def agreed(
    model: DiffusionModel, x_0: Tensor, eps: Tensor, level: Level, gap: float, features: Features, labels: Tensor
) -> Tensor:
    """What the model gives for x_0 with less of the same noise: consistency is that it gives that at `level` too.

    The lower s is s (1 - gap n(s)), n(s) = 1 + 8 / (1 + e^(s / 12)): Geng et al. 2024, 2406.14548, eq. 14 and 15, its steepness
    for colours of unit variance. Below the schedule's end it is 0, where x_0 is the truth.
    """
    ratio = level.ratio.flatten()
    lower_ratio = ratio * (1 - gap * (1 + 8 * torch.sigmoid(-ratio / 12)))
    lower = model.schedule.at_ratios(lower_ratio.clamp_min(1e-6))
    x_lower = diffuse(x_0, eps, lower)
    own = model.target.x_0(model.network(x_lower, lower, features, labels), x_lower, lower)
    clean = (lower_ratio <= model.schedule.level(0).ratio).view(-1, 1, 1, 1)
    return torch.where(clean, x_0, own.clamp(-model.limit, model.limit))


def gap_in(losses: Weighting, stage: int) -> float:
    """The gap of a stage, counted from 1."""
    return losses.consistency_gap * 0.25 ** (stage - 1)


def squared_error(model: DiffusionModel, losses: Weighting, of: Drawn) -> Tensor:
    """Of the prediction, its noise levels weighted (Ho et al. 2020, eq. 14)."""
    weight = WEIGHTINGS[losses.weighting](of.level, model.target, losses.snr_gamma)
    return (weight * (of.prediction - of.wanted).square()).mean()


def check_classes(model: DiffusionModel, categories: int) -> None:
    """ConfigError for a model of fewer classes than its set has categories."""
    if 0 < model.options.classes < categories:
        raise ConfigError(f"classes = {model.options.classes}: the set has {categories} categories; 0 = none")


class Denoising(Judged):
    """Mean squared error of the prediction at levels drawn uniformly over the schedule (Ho et al. 2020, eq. 14).

    The perceptual and the adversarial loss look at the picture that the prediction's estimate of x_0 stands for: clamped to
    the range of the colour space, as sampling does it, and in a space of chroma joined to the photograph's own luma, so that
    nothing but colour is judged. The truth goes the same way, and each estimate counts as `losses.trust` says.
    """

    name = "denoiser"

    def __init__(self, model: DiffusionColorizer, losses: DiffusionLosses, categories: int, judges: Judges) -> None:
        super().__init__(model.space, {"mse": losses.mse}, judges)
        self.model, self.losses = model, losses
        check_classes(model, categories)
        width, weighted = model.network.summary_width, model.options.category_weight > 0
        if weighted and not width:
            raise ConfigError(
                f"category_weight: the backbone '{model.options.backbone}' has no encoder to teach; set 0"
            )
        self.tuned = losses.consistency_gap > 0 or losses.endpoint > 0  # the denoiser alone: the encoder stays as it is
        if self.tuned:
            model.network.keep_encoder()
        self.guess = nn.Linear(width, categories) if weighted and not self.tuned else None  # only training needs it
        self.teacher = Teacher(model, losses.endpoint)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Losses "mse" (1 = nothing learned, with unit-variance targets), "perceptual" and "adversarial" where they count,
        "endpoint" with a teacher; unless only that or the consistency is taught, "mean" with a mean head, "category" if weighted.
        """
        model, options = self.model, self.model.options
        x_0 = model.encode(batch.rgb)
        features = model.network.encode(unit_gray(batch.gray))
        at = drawn(model, batch, x_0, features, gap_in(self.losses, self.stage))
        losses = {"mse": self.losses.mse * squared_error(model, self.losses, at)} if self.losses.mse else {}
        if self.judging:
            losses |= self.judged(self._estimate(at), x_0, luma(batch.rgb).float(), trust(at.level))
        mean = model.network.mean(features)
        losses |= self.teacher.losses(model, batch, x_0, features)
        if mean is not None and not self.tuned:
            losses["mean"] = options.mean_weight * F.mse_loss(mean, x_0)
        if self.guess is not None:
            scores = self.guess(model.network.summary(features))
            losses["category"] = options.category_weight * F.cross_entropy(scores, batch.labels, label_smoothing=0.1)
        return losses

    def stages(self) -> list[nn.Module]:
        """See Objective."""
        return self.teacher.stages()

    def _estimate(self, at: Drawn) -> Tensor:
        """The x_0 that the prediction stands for."""
        limit = self.model.limit
        return self.model.target.x_0(at.prediction, at.x_t, at.level).clamp(-limit, limit)


class DiffusionFamily:
    """A row of the table: diffusion with these options."""

    Losses: type[Losses] = DiffusionLosses

    def __init__(self, options: type[DiffusionOptions], comparing: Comparing) -> None:
        self.Options, self.comparing = options, comparing

    def build(self, options: DiffusionOptions) -> DiffusionColorizer:
        """See Family."""
        return DiffusionColorizer(options)

    def objectives(
        self, model: Colorizer, losses: DiffusionLosses, categories: int, feature_weights: Path | None = None
    ) -> list[Objective]:
        """See Family: the denoiser, and the discriminator where the adversarial loss has a weight."""
        assert isinstance(model, DiffusionColorizer)
        judges = Judges(losses.perceptual, losses.adversarial, feature_weights, model.working_size)
        return [Denoising(model, losses, categories, judges), *judges.players()]


FAMILIES.add("unetddpm")(DiffusionFamily(DiffusionOptions, Comparing(sampling={"sampler": "ddpm", "steps": 50})))
FAMILIES.add("unetddim")(
    DiffusionFamily(DdimOptions, Comparing(trained_as="unetddpm", sampling={"sampler": "ddim", "steps": 20}))
)
FAMILIES.add("splitdpm")(DiffusionFamily(SplitOptions, Comparing(usual=False)))  # no family of the published comparison
