"""Pictures from noise: the same diffusion, given no photograph, and on request a class.

Legend as in `tinct.diffusion`: x_0 the picture in [-1, 1], x_t = alpha x_0 + sigma eps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from tinct.config import option
from tinct.diffusion import SAMPLERS, Step
from tinct.errors import ConfigError
from tinct.families.base import CHANNELS, FAMILIES, Batch, Comparing, Losses, Objective, PictureGenerator, unit_pictures
from tinct.families.denoising import Weighting, check_classes, drawn, gap_in, squared_error
from tinct.families.diffusion import DiffusionModel, WalkOptions
from tinct.families.jumps import Teacher


@dataclass(frozen=True)
class GenerationOptions(WalkOptions):
    """A diffusion model of whole pictures."""

    space: str = option("gray", "what its pictures are made of", choices=lambda: list(CHANNELS))
    sampler: str = option("dpm++2m", "default sampler", choices=lambda: list(SAMPLERS))
    steps: int = option(20, "default number of sampling steps", low=1)
    temperature: float = option(1.0, "default scale of the noise: less is likelier, less varied", low=0.0, high=2.0)
    black_point: int = option(
        0,
        "darkest levels that are shown as black, for pictures that are mostly black: networks leave a little",
        low=0,
        high=64,
    )


class DiffusionGenerator(DiffusionModel, PictureGenerator):
    """Samples pictures by walking a ladder of noise levels down from noise."""

    def __init__(self, options: GenerationOptions) -> None:
        self.channels = CHANNELS[options.space]
        super().__init__(options, self.channels, limit=1.0, given=0)
        self.classes, self.black_point = options.classes, options.black_point

    def sample(  # type: ignore[override]  # its options are spelled out
        self,
        *,
        generators: Sequence[Generator],
        labels: Tensor | None = None,
        steps: int | None = None,
        sampler: str | None = None,
        spacing: str | None = None,
        eta: float | None = None,
        temperature: float | None = None,
        guidance: float = 1.0,
        with_start: bool = False,
    ) -> Iterator[Step]:
        """See PictureGenerator; the options are those of `walk`."""
        self._check(labels, guidance)
        place, side = next(self.parameters()), self.working_size
        mean = place.new_zeros(len(generators), self.channels, side, side)
        labels = None if labels is None else labels.to(place.device)
        temperature = self.options.temperature if temperature is None else temperature
        return self.walk(
            mean, (), labels, generators,
            steps=steps, sampler=sampler, spacing=spacing, eta=eta, temperature=temperature, guidance=guidance,
            with_start=with_start,
        )  # fmt: skip

    def _check(self, labels: Tensor | None, guidance: float) -> None:
        if labels is None and guidance != 1:
            raise ConfigError(f"guidance = {guidance:g}: it guides towards a class; say which, or leave it away")
        if labels is not None and not self.classes:
            raise ConfigError(f"class: the model '{self.name}' knows no classes")
        wrong = [] if labels is None else [label for label in labels.tolist() if not -1 <= label < self.classes]
        if wrong:
            raise ConfigError(f"class = {wrong[0]}: the model '{self.name}' knows the classes 0 to {self.classes - 1}")

    def encode(self, rgb: Tensor) -> Tensor:
        """See Diffusing."""
        return unit_pictures(rgb, self.channels)

    def pictures(self, x_0: Tensor) -> Tensor:
        """See PictureGenerator."""
        levels = (x_0.clamp(-1, 1) + 1) * 127.5
        shown = (levels - self.black_point).clamp_min(0) * (255 / (255 - self.black_point))
        return shown.round().to(torch.uint8).expand(-1, 3, -1, -1)


class PictureDenoising(Objective):
    """Mean squared error of the prediction at levels drawn uniformly over the schedule (Ho et al. 2020, eq. 14)."""

    name = "denoiser"

    def __init__(self, model: DiffusionGenerator, losses: Weighting, categories: int) -> None:
        super().__init__()
        check_classes(model, categories)
        self.model, self.losses = model, losses
        self.teacher = Teacher(model, losses.endpoint)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Loss "mse", and "endpoint" if it is weighted."""
        x_0 = self.model.encode(batch.rgb)
        at = drawn(self.model, batch, x_0, (), gap_in(self.losses, self.stage))
        return {"mse": squared_error(self.model, self.losses, at), **self.teacher.losses(self.model, batch, x_0, ())}

    def stages(self) -> list[nn.Module]:
        """See Objective."""
        return self.teacher.stages()


class GenerationFamily:
    """The row of the table: pictures, not colour, so it takes no part in a comparison of colorizers."""

    Options: type = GenerationOptions
    Losses: type[Losses] = Weighting
    comparing = Comparing(usual=False)

    def build(self, options: GenerationOptions) -> DiffusionGenerator:
        """See Family."""
        return DiffusionGenerator(options)

    def objectives(
        self, model: Any, losses: Weighting, categories: int, feature_weights: Path | None = None
    ) -> list[Objective]:
        """See Family: one player."""
        return [PictureDenoising(model, losses, categories)]


FAMILIES.add("generation")(GenerationFamily())
