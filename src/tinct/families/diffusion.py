"""Diffusion: a denoiser takes noise off a picture, step by step; off its colour, given the gray photograph.

Legend as in `tinct.diffusion`: x_0 colour in network units, x_t = alpha x_0 + sigma eps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from tinct.color import SPACES
from tinct.config import option, variant
from tinct.diffusion import (
    CLEAN,
    SAMPLERS,
    SCHEDULES,
    SPACINGS,
    TARGETS,
    Level,
    Schedule,
    Step,
    ladder,
    own_spacing,
    sampler_options,
)
from tinct.diffusion.guidance import Guide, coarse, in_turn
from tinct.diffusion.noise import rand, randn
from tinct.errors import ConfigError
from tinct.families.base import Batch, Colorizer, Model, samples_of_each, unit_gray
from tinct.families.hinting import hint_guide
from tinct.families.referring import reference_guide
from tinct.nets import DENOISERS
from tinct.nets.base import Features

FEW = 4  # steps up to which a network that jumps does so by default
HARDLY_SEEN = 40.0  # s of x_t that shows next to nothing of x_0; 20 to 160 measure alike
COARSE_CELLS = 8  # on the short side: what an anchor holds; 6 to 10 measure alike (docs/experiments.md)


@dataclass(frozen=True)
class WalkOptions:
    """What every diffusion model has; the defaults are the classic one: noise predicted, 1000 levels of a cosine schedule."""

    space: str = option("rgb", "colour space", choices=lambda: list(SPACES))
    backbone: str = option("unet", "network", choices=lambda: list(DENOISERS))
    network: Any = variant("backbone", lambda name: DENOISERS[name].Options, "shape of the network")
    classes: int = option(0, "classes to condition on; 0 = none", low=0)
    size: int = option(64, "short side of the picture that the model sees, px", low=8)
    timesteps: int = option(1000, "T, the number of noise levels", low=1)
    schedule: str = option("cosine", "noise schedule", choices=lambda: list(SCHEDULES))
    target: str = option("eps", "what the network predicts", choices=lambda: list(TARGETS))
    levels_per_picture: int = option(1, "noise levels trained on per picture, its features computed once", low=1)
    sampler: str = option("ddpm", "default sampler", choices=lambda: list(SAMPLERS))
    spacing: str = option("uniform", "default spacing of the sampler's steps", choices=lambda: list(SPACINGS))
    steps: int = option(50, "default number of sampling steps", low=1)


@dataclass(frozen=True)
class DiffusionOptions(WalkOptions):
    """A diffusion colorizer; by default the classic one: 4 channels in, 3 out."""

    mean_weight: float = option(0.25, "weight of the mean head's loss, where the network has that head", low=0.0)
    category_weight: float = option(0.0, "weight of guessing the category, a help in training; 0 = off", low=0.0)
    draws: int = option(1, "a coloured picture is by default the medoid of so many samples", low=1)
    anchor: float = option(0.0, "default strength of the mean colour that coarse colours follow; 0 = none", low=0.0)


@dataclass(frozen=True)
class DdimOptions(DiffusionOptions):
    """The same network and training, sampled by DDIM."""

    sampler: str = option("ddim", "default sampler", choices=lambda: list(SAMPLERS))


@dataclass(frozen=True)
class SplitOptions(DiffusionOptions):
    """Chroma at half of the luma's size, the photograph encoded once, a light denoiser every step."""

    space: str = option("ycbcr", "colour space", choices=lambda: list(SPACES))
    backbone: str = option("split", "network", choices=lambda: list(DENOISERS))
    schedule: str = option("chroma", "noise schedule", choices=lambda: list(SCHEDULES))
    target: str = option("v", "what the network predicts", choices=lambda: list(TARGETS))
    levels_per_picture: int = option(3, "noise levels trained on per pass of the encoder", low=1)
    sampler: str = option("dpm++2m", "default sampler", choices=lambda: list(SAMPLERS))
    spacing: str = option("karras", "default spacing of the sampler's steps", choices=lambda: list(SPACINGS))
    steps: int = option(8, "default number of sampling steps", low=1)
    draws: int = option(1, "a coloured picture is by default the medoid of so many samples", low=1)
    anchor: float = option(1.5, "default strength of the mean colour that coarse colours follow; 0 = none", low=0.0)


def repeated(features: Features, count: int) -> Features:
    """Each picture's features `count` times in a row."""
    return tuple(feature.repeat_interleave(count, dim=0) for feature in features) if count > 1 else features


def shown_labels(model: DiffusionModel, batch: Batch) -> Tensor:
    """The labels (B,), where the model takes them a tenth as -1, so that it also knows how to do without."""
    if not model.options.classes:
        return batch.labels
    hidden = rand(batch.generators, 1).flatten().to(batch.labels.device) < 0.1  # Ho and Salimans 2022, 2207.12598
    return batch.labels.masked_fill(hidden, -1)


class DiffusionModel(Model):
    """A denoiser on a schedule, and the walk from noise down a ladder of its levels."""

    def __init__(self, options: WalkOptions, channels: int, limit: float, given: int) -> None:
        """Of x_0 in so many channels, within +-limit; `given` channels of something else besides."""
        super().__init__()
        self.options, self.header, self.limit = options, {}, limit
        self.target = TARGETS[options.target]
        self.schedule = Schedule.named(options.schedule, options.timesteps)
        self.network = DENOISERS[options.backbone](options.network, channels, options.classes, given)
        self.working_size, self.multiple = options.size, self.network.multiple
        self.levels()  # defaults that can't be walked are refused here

    def way(
        self, steps: int | None = None, sampler: str | None = None, spacing: str | None = None
    ) -> tuple[int, str, str]:
        """See Diffusing: few steps of a network that jumps are by default jumps, spaced as these are."""
        steps = self.options.steps if steps is None else steps
        jumps = self.network.jumps and steps <= FEW
        sampler = sampler or ("jump" if jumps else self.options.sampler)
        return steps, sampler, spacing or own_spacing(sampler) or self.options.spacing

    def levels(
        self, steps: int | None = None, sampler: str | None = None, spacing: str | None = None
    ) -> tuple[Level, ...]:
        """See Diffusing."""
        steps, _, spacing = self.way(steps, sampler, spacing)
        return ladder(self.schedule, spacing, steps)

    def walk(
        self,
        mean: Tensor,
        features: Features,
        labels: Tensor | None,
        generators: Sequence[Generator],
        *,
        steps: int | None = None,
        sampler: str | None = None,
        spacing: str | None = None,
        eta: float | None = None,
        temperature: float = 1.0,
        guidance: float = 1.0,
        guide: Guide | None = None,
        with_start: bool = False,
    ) -> Iterator[Step]:
        """From alpha mean + sigma noise, a mean (B, C, h, w): from pure noise at a finite level, pictures would be pulled to 0.

        None means the model's default; `eta` is for samplers that have it; `temperature` scales the noise. `guidance` g goes
        from the prediction without the labels g times as far as the one with them (Ho and Salimans 2022, 2207.12598, eq. 6,
        with g = 1 + w). `guide` corrects the mean and every x_0 that the network gives. `with_start`: see Diffusing.
        """
        steps, name, spacing = self.way(steps, sampler, spacing)
        options, levels = sampler_options(name, {"eta": eta}), ladder(self.schedule, spacing, steps)

        def fresh(like: Tensor) -> Tensor:
            return temperature * randn(generators, *like.shape[1:]).to(like)

        def guided(x_0: Tensor, level: Level) -> Tensor:
            return x_0 if guide is None else guide(x_0, level).clamp(-self.limit, self.limit)

        def denoise(x_t: Tensor, level: Level) -> Tensor:
            batched = level.batched(x_t)
            prediction = self.network(x_t, batched, features, labels)
            if guidance != 1:
                without = self.network(x_t, batched, features)
                prediction = without + guidance * (prediction - without)
            return guided(self.target.x_0(prediction, x_t, batched).clamp(-self.limit, self.limit), level)

        mean = guided(mean, levels[0])
        start = levels[0].alpha * mean + levels[0].sigma * fresh(mean)
        walked = SAMPLERS[name](denoise, start, levels, randn=fresh, **options)
        return chain([Step(0, len(levels) - 1, start, mean)], walked) if with_start else walked

    def start(self, x_0: Tensor, features: Features, labels: Tensor | None) -> Tensor:
        """What a walk to something like x_0 (B, C, h, w) begins around: gray in the middle of its range, if nothing is known."""
        return torch.zeros_like(x_0)

    def stages(self) -> list[nn.Module]:
        """See Model."""
        return self.network.stages()


class DiffusionColorizer(DiffusionModel, Colorizer):
    """Samples colour by walking a ladder of noise levels down from noise."""

    def __init__(self, options: DiffusionOptions) -> None:
        self.space = SPACES[options.space]
        super().__init__(options, self.space.channels, self.space.limit, given=1)
        self.draws, self.anchor = options.draws, options.anchor

    def sample(  # type: ignore[override]  # its options are spelled out
        self,
        gray: Tensor,
        *,
        generators: Sequence[Generator],
        steps: int | None = None,
        sampler: str | None = None,
        spacing: str | None = None,
        eta: float | None = None,
        temperature: float = 1.0,
        anchor: float | None = None,
        labels: Tensor | None = None,
        hints: Tensor | None = None,
        reference: Tensor | None = None,
        reference_strength: float = 1.0,
        with_start: bool = False,
    ) -> Iterator[Step]:
        """See Colorizer; the options are those of `walk`. The walk starts at the network's mean where it has that head.

        With an `anchor`, coarse colours are those of that mean, so many times as strong, and only the fine ones are sampled.
        `hints` (B, 3, H, W), as large as the gray, are colours that are known: see `hint_guide`. A `reference` (n, 3), RGB in
        levels, are colours that the picture's go towards, with a strength from 0 to 1: see `reference_guide`.
        """
        if labels is not None and not self.options.classes:
            raise ConfigError(f"labels: the model '{self.name}' is conditioned on the photograph alone")
        each = samples_of_each(gray, generators)  # the picture is encoded once for all of them
        features = self.network.encode(unit_gray(gray))
        mean = self.expected(features, labels)
        hinted, is_open = None, gray.new_ones(len(gray), 1, 1, 1)
        if hints is not None:
            hinted, is_open = hint_guide(hints, gray, self.network.likeness(features), self.space)
        features = repeated(features, each)
        labels, mean = (None if part is None else part.repeat_interleave(each, dim=0) for part in (labels, mean))
        gray, is_open = (part.repeat_interleave(each, dim=0) for part in (gray, is_open))
        pulled = None
        if reference is not None and reference_strength:
            pulled = reference_guide(reference, reference_strength, gray, self.space)
        known = in_turn(pulled, hinted)
        goal = self._goal(gray, mean, self.anchor if anchor is None else anchor)
        anchored = None if goal is None else coarse(known(goal, CLEAN) if known else goal, COARSE_CELLS, is_open)
        if mean is None:
            h, w = (side // self.network.reduction for side in gray.shape[-2:])
            mean = gray.new_zeros(len(generators), self.space.channels, h, w)
        return self.walk(
            mean, features, labels, generators,
            steps=steps, sampler=sampler, spacing=spacing, eta=eta, temperature=temperature,
            guide=in_turn(anchored, known), with_start=with_start,
        )  # fmt: skip

    def _goal(self, gray: Tensor, mean: Tensor | None, strength: float) -> Tensor | None:
        """What an anchor holds to: the mean colour (B, C, h, w), so many times as far from gray as it is."""
        if not strength:
            return None
        if mean is None:
            raise ConfigError(
                f"anchor = {strength:g}: '{self.name}' has no head for the mean colour. Leave anchor away"
            )
        neutral = self.encode(gray.expand(-1, 3, -1, -1))
        return neutral + strength * (mean - neutral)

    def start(self, x_0: Tensor, features: Features, labels: Tensor | None) -> Tensor:
        """See DiffusionModel: around the mean colour, where there is a head for it."""
        mean = self.expected(features, labels)
        return super().start(x_0, features, labels) if mean is None else mean

    def mean(self, gray: Tensor) -> Tensor | None:
        """See Colorizer: where the walk starts."""
        return self.expected(self.network.encode(unit_gray(gray)), None)

    def expected(self, features: Features, labels: Tensor | None) -> Tensor | None:
        """E[x_0 | photograph], (B, C, h, w): half from the network's head for it, where it has one, half from its denoiser.

        Where noise leaves next to nothing to see, the denoiser's x_0 is that mean as well, learned apart from the head's: their
        errors differ, and both together have less than either (docs/experiments.md). It is shown the head's, and no noise.
        """
        mean = self.network.mean(features)
        if mean is None:
            return None
        level = self.schedule.at_ratio(HARDLY_SEEN).batched(mean)
        x_t = level.alpha * mean
        denoised = self.target.x_0(self.network(x_t, level, features, labels), x_t, level)
        return (mean + denoised.clamp(-self.limit, self.limit)) / 2

    def encode(self, rgb: Tensor) -> Tensor:
        """See Diffusing: colour on the network's own grid."""
        return F.avg_pool2d(self.space.encode(rgb.float()), self.network.reduction)

    def cbcr(self, x_0: Tensor, gray: Tensor) -> Tensor:
        """See Colorizer."""
        return self.space.cbcr(x_0, F.avg_pool2d(gray, self.network.reduction))
