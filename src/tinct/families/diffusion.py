"""Conditional diffusion: a denoiser takes noise off colour, step by step, given the gray photograph.

Legend as in `tinct.diffusion`: x_0 colour in network units, x_t = alpha x_0 + sigma eps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Generator, Tensor, nn
from torch.nn import functional as F

from tinct.color import SPACES
from tinct.config import option, variant
from tinct.diffusion import (
    SAMPLERS,
    SCHEDULES,
    SPACINGS,
    TARGETS,
    Level,
    Schedule,
    Step,
    ladder,
    sampler_options,
)
from tinct.diffusion.noise import randn
from tinct.errors import ConfigError
from tinct.families.base import Colorizer, samples_of_each, unit_gray
from tinct.nets import DENOISERS
from tinct.nets.base import Features


@dataclass(frozen=True)
class DiffusionOptions:
    """A diffusion colorizer; the defaults are the classic one: 4 channels in, 3 out, noise predicted."""

    space: str = option("rgb", "colour space", choices=lambda: list(SPACES))
    backbone: str = option("unet", "network", choices=lambda: list(DENOISERS))
    network: Any = variant("backbone", lambda name: DENOISERS[name].Options, "shape of the network")
    classes: int = option(0, "classes to condition on besides the photograph; 0 = none", low=0)
    size: int = option(64, "short side of the picture that the model sees, px", low=8)
    timesteps: int = option(1000, "T, the number of noise levels", low=1)
    schedule: str = option("cosine", "noise schedule", choices=lambda: list(SCHEDULES))
    target: str = option("eps", "what the network predicts", choices=lambda: list(TARGETS))
    levels_per_picture: int = option(1, "noise levels trained on per pass of the encoder", low=1)
    mean_weight: float = option(0.25, "weight of the mean head's loss, where the network has that head", low=0.0)
    category_weight: float = option(0.0, "weight of guessing the category, a help in training; 0 = off", low=0.0)
    sampler: str = option("ddpm", "default sampler", choices=lambda: list(SAMPLERS))
    spacing: str = option("uniform", "default spacing of the sampler's steps", choices=lambda: list(SPACINGS))
    steps: int = option(50, "default number of sampling steps", low=1)
    draws: int = option(1, "a coloured picture is by default the medoid of so many samples", low=1)


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
    draws: int = option(8, "a coloured picture is by default the medoid of so many samples", low=1)


def repeated(features: Features, count: int) -> Features:
    """Each picture's features `count` times in a row."""
    return tuple(feature.repeat_interleave(count, dim=0) for feature in features) if count > 1 else features


class DiffusionColorizer(Colorizer):
    """Samples colour by walking a ladder of noise levels down from noise."""

    def __init__(self, options: DiffusionOptions) -> None:
        super().__init__()
        self.options, self.header = options, {}
        self.space, self.target = SPACES[options.space], TARGETS[options.target]
        self.schedule = Schedule.named(options.schedule, options.timesteps)
        self.network = DENOISERS[options.backbone](options.network, self.space.channels, options.classes)
        self.working_size, self.multiple, self.draws = options.size, self.network.multiple, options.draws
        ladder(self.schedule, options.spacing, options.steps)  # defaults that can't be walked are refused here

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
        labels: Tensor | None = None,
    ) -> Iterator[Step]:
        """See Colorizer. None means the model's default; `eta` is for samplers that have it; `temperature` scales the noise.

        The walk starts at alpha mean + sigma noise: from pure noise at a finite level the colours would be pulled to neutral.
        """
        if labels is not None and not self.options.classes:
            raise ConfigError(f"labels: the model '{self.name}' is conditioned on the photograph alone")
        name = sampler or self.options.sampler
        options = sampler_options(name, {"eta": eta})
        steps = self.options.steps if steps is None else steps
        levels = ladder(self.schedule, spacing or self.options.spacing, steps)
        each = samples_of_each(gray, generators)  # the picture is encoded once for all of them
        labels = None if labels is None else labels.repeat_interleave(each)
        features = repeated(self.network.encode(unit_gray(gray)), each)
        mean = self.network.mean(features)

        def fresh(like: Tensor) -> Tensor:
            return temperature * randn(generators, *like.shape[1:]).to(like)

        def denoise(x_t: Tensor, level: Level) -> Tensor:
            batched = level.batched(x_t)
            prediction = self.network(x_t, batched, features, labels)
            return self.target.x_0(prediction, x_t, batched).clamp(-self.space.limit, self.space.limit)

        h, w = gray.shape[-2:]
        grid = gray.new_zeros(
            len(generators), self.space.channels, h // self.network.reduction, w // self.network.reduction
        )
        start = levels[0].alpha * (grid if mean is None else mean) + levels[0].sigma * fresh(grid)
        return SAMPLERS[name](denoise, start, levels, randn=fresh, **options)

    def cbcr(self, x_0: Tensor, gray: Tensor) -> Tensor:
        """See Colorizer."""
        return self.space.cbcr(x_0, F.avg_pool2d(gray, self.network.reduction))

    def stages(self) -> list[nn.Module]:
        """See Colorizer."""
        return self.network.stages()
