"""What everybody downstream sees of a model family: its models, Objective, Family, and the table of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from tinct.color import ColorSpace, compose, luma
from tinct.diffusion.levels import Schedule
from tinct.diffusion.noise import generators_for
from tinct.diffusion.samplers import Step
from tinct.level import Level
from tinct.registry import Registry


@dataclass(frozen=True)
class Batch:
    """Pictures for one training step, with one source of randomness per picture."""

    rgb: Tensor  # uint8 (B, 3, H, W), augmented
    labels: Tensor  # int64 (B,)
    generators: Sequence[Generator]  # one per picture, on the CPU: what is drawn does not depend on the batch
    seen: Tensor | None = None  # uint8 (B, 1, H, W): what a colorizer is shown, where it is not the pictures' own luma

    @property
    def gray(self) -> Tensor:
        """What a colorizer is shown of the pictures: float (B, 1, H, W) in levels."""
        return (luma(self.rgb) if self.seen is None else self.seen).float()


class Model(nn.Module):
    """What is trained and kept. Subclasses hold its networks, nothing that only training needs.

    `working_size` is the short side in pixels of the pictures it was made for, `multiple` what each side must divide by.
    """

    working_size: int
    multiple: int
    options: Any  # the family's frozen dataclass that it was built from
    name: str = "unnamed"
    header: dict[str, Any]  # what its weights say of themselves: see `weights`
    command: str  # that shows what it does, to be followed by --model

    def examples(self, rgb: Tensor) -> dict[str, Tensor]:
        """Columns of pictures by title, uint8 (N, 3, H, W) each, that show what it can, given some pictures of its set."""
        raise TypeError(f"{type(self).__name__} has no pictures to show")

    def stages(self) -> list[nn.Module]:
        """The parts that are worth compiling, each on its own."""
        return [self]


class Colorizer(Model):
    """A model that colours."""

    command = "tinct colorize photo.jpg"
    space: ColorSpace  # how it writes colour
    draws: int = 1  # of how many samples its default picture is the medoid
    anchor: float = 0.0  # strength of its mean colour that coarse colours follow by default; 0 = they are sampled too
    varies: bool = True  # whether another generator gives another picture

    def sample(self, gray: Tensor, *, generators: Sequence[Generator], **options: Any) -> Iterator[Step]:
        """Colours a batch: yields a Step per step, the last one's x_0 is the result, in the units of `cbcr`.

        gray: float (B, 1, H, W) in levels 0..255, sides divisible by `multiple`. One generator per sample: with B times n of
        them, x_0 holds n samples of each picture in a row. Options are the family's own; None takes the model's default.
        """
        raise TypeError(f"{type(self).__name__} does not sample")

    def cbcr(self, x_0: Tensor, gray: Tensor) -> Tensor:
        """Chroma (B, 2, h, w) in levels that a Step's x_0 stands for; h, w may be a whole fraction of the gray's."""
        raise TypeError(f"{type(self).__name__} has no chroma")

    def mean(self, gray: Tensor) -> Tensor | None:
        """The mean of its colourings, in the units of `cbcr`, by one pass over a gray as in `sample`; None if it tells none."""
        return None

    def examples(self, rgb: Tensor) -> dict[str, Tensor]:
        """See Model: the gray, one sample, and the truth."""
        gray = luma(rgb)
        levels = gray.float().to(next(self.parameters()).device)
        *_, last = self.sample(levels, generators=generators_for(range(len(rgb))))
        chroma = F.interpolate(self.cbcr(last.x_0, levels).cpu(), gray.shape[-2:], mode="bicubic")
        return {"gray": gray.expand(-1, 3, -1, -1), "sample": compose(gray, chroma).to(torch.uint8), "truth": rgb}


class PictureGenerator(Model):
    """A model that makes pictures from noise, of one of its `classes` where it has some."""

    command = "tinct generate --sheet samples.png"
    classes: int = 0

    def sample(
        self, *, generators: Sequence[Generator], labels: Tensor | None = None, **options: Any
    ) -> Iterator[Step]:
        """Makes a picture per generator: yields a Step per step, the last one's x_0 is the result.

        labels (B,) are classes, -1 = any. Other options are the family's own; None takes the model's default.
        """
        raise TypeError(f"{type(self).__name__} does not sample")

    def pictures(self, x_0: Tensor) -> Tensor:
        """What network units (B, C, H, W) look like: uint8 RGB (B, 3, H, W)."""
        raise TypeError(f"{type(self).__name__} has no pictures")

    def examples(self, rgb: Tensor) -> dict[str, Tensor]:
        """See Model: eight samples of each class, or a column for each of the pictures given."""
        titles, count = range(self.classes or len(rgb)), 8
        labels = torch.tensor([label for label in titles for _ in range(count)]) if self.classes else None
        *_, last = self.sample(generators=generators_for(range(len(titles) * count)), labels=labels)
        return dict(zip(map(str, titles), torch.split(self.pictures(last.x_0).cpu(), count), strict=True))


@runtime_checkable
class Diffusing(Protocol):
    """What a model has besides that samples by walking down levels of noise: the process, to be looked at.

    Its `sample` takes `with_start`: then the noise that the walk starts from is yielded too, as a Step 0 whose x_0 is the mean
    that it starts around.
    """

    schedule: Schedule

    def encode(self, rgb: Tensor) -> Tensor:
        """x_0 (B, C, h, w) in network units of pictures uint8 (B, 3, H, W)."""
        ...

    def way(
        self, steps: int | None = None, sampler: str | None = None, spacing: str | None = None
    ) -> tuple[int, str, str]:
        """Steps, sampler and spacing of a walk: what is asked for, else what the model does of itself."""
        ...

    def levels(
        self, steps: int | None = None, sampler: str | None = None, spacing: str | None = None
    ) -> tuple[Level, ...]:
        """The levels of a walk, from the noisiest to the clean one: that of Step k at k. None is the model's default."""
        ...


class Classifier(Model):
    """A model that tells which of its `classes` a picture is of, by `width` features: those a distance of sets may look at."""

    command = "tinct evaluate --data SET"
    classes: int
    width: int

    def scores(self, rgb: Tensor) -> Tensor:
        """Of each class, (B, classes), for pictures uint8 (B, 3, H, W); their softmax is the probability."""
        raise TypeError(f"{type(self).__name__} has no scores")

    def features(self, rgb: Tensor) -> Tensor:
        """What the scores are made of, (B, width), for pictures uint8 (B, 3, H, W)."""
        raise TypeError(f"{type(self).__name__} has no features")

    def examples(self, rgb: Tensor) -> dict[str, Tensor]:
        """See Model: the pictures by the class that they are taken for."""
        taken = self.scores(rgb.to(next(self.parameters()).device)).argmax(dim=1).cpu()
        return {str(label): rgb[taken == label] for label in sorted(set(taken.tolist()))}


def unit_gray(gray: Tensor) -> Tensor:
    """Gray in levels 0..255 as networks see it, in [-1, 1]."""
    return gray / 127.5 - 1


CHANNELS = {"gray": 1, "rgb": 3}  # of pictures that a network sees or makes whole


def unit_pictures(rgb: Tensor, channels: int) -> Tensor:
    """Pictures uint8 (B, 3, H, W) as networks of so many channels see them, (B, C, H, W) in [-1, 1]."""
    return unit_gray((luma(rgb) if channels == 1 else rgb).float())


def samples_of_each(gray: Tensor, generators: Sequence[Generator]) -> int:
    """How many samples of each picture (B, 1, H, W) so many generators ask for."""
    each = len(generators) // len(gray)
    assert len(generators) == each * len(gray) > 0, "as many generators for every picture"
    return each


def one_step(x_0: Tensor) -> Iterator[Step]:
    """The whole way to a result that is there at once."""
    return iter([Step(1, 1, x_0, x_0)])


class Objective(nn.Module):
    """One player of a training: its forward gives named, already weighted losses whose sum is minimized.

    The first player is the model's own. A training may have several stages; the loop says in `stage` which one it is in, and
    leaves a player alone before its `from_stage`. Some loss of it sets in no sooner than in stage `last_onset`.
    """

    name: str
    stage: int = 1
    from_stage: int = 1
    last_onset: int = 1
    against_opponent: tuple[str, ...] = (
        "adversarial",
    )  # losses that mean something else as soon as the other player moves

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Scalar losses by name."""
        raise TypeError(f"{type(self).__name__} has no loss")

    def stages(self) -> list[nn.Module]:
        """Parts besides the model's that are worth compiling, each on its own."""
        return []

    def loss_state(self) -> dict[str, Any]:
        """What a checkpoint says of the losses, under the published names."""
        return {"mse_weight": 1.0, "perceptual_weight": 0.0, "adversarial_weight": 0.0, "use_gan": False}


class Losses(Protocol):
    """The losses' part of the schema: a frozen dataclass that knows which feature networks they look through."""

    def feature_networks(self) -> list[str]:
        """Their names in `nets.features`."""
        ...


@dataclass(frozen=True)
class Comparing:
    """How a family takes part in a comparison of all families: whether it does, and how its model then samples.

    `trained_as` is the family whose training gives its model too, where the two differ in their sampling alone.
    """

    usual: bool = True
    trained_as: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)


class Family(Protocol):
    """A row of the table: how a named family is built and trained."""

    Options: type  # a frozen dataclass: the model's part of the schema
    Losses: type[Losses]

    def build(self, options: Any) -> Model:
        """The model, freshly initialized from the global random state."""
        ...

    def objectives(
        self, model: Any, losses: Any, categories: int, feature_weights: Path | None = None
    ) -> list[Objective]:
        """The players that train it on a set of so many categories: one for most, two for an adversarial family.

        `feature_weights` is where the user has the weights of networks that losses look through.
        """
        ...


FAMILIES: Registry[Family] = Registry("family")


def comparing(name: str) -> Comparing:
    """How the family of that name takes part: as its attribute `comparing` says, if it has one."""
    found: Comparing = getattr(FAMILIES[name], "comparing", Comparing())
    return found
