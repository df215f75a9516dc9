"""Judges of pictures that training looks through: a perceptual network, and the discriminator of an adversarial game.

They are no part of a player's weights, so that neither the average nor a checkpoint holds them; the discriminator is a
player of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from tinct.color import ColorSpace
from tinct.config import option
from tinct.errors import ConfigError
from tinct.families.base import Batch, Objective, unit_gray
from tinct.losses import ADVERSARIAL, perceptual
from tinct.nets import features
from tinct.nets.patchgan import PatchGan

NETWORKS = {"vgg16": "vgg16", "squeezenet": "squeezenet1_1"}  # by the names that users write


@dataclass(frozen=True)
class PerceptualOptions:
    """Difference of pictures as a network trained on ImageNet sees it."""

    weight: float = option(0.0, "of the perceptual loss, 0.1 to 0.5; 0 = off", low=0.0)
    network: str = option("vgg16", "network that the perceptual loss looks through", choices=lambda: list(NETWORKS))
    from_stage: int = option(1, "stage in which the perceptual loss sets in", low=1)

    def feature_networks(self) -> list[str]:
        """The networks whose weights are needed, as `nets.features` calls them."""
        return [NETWORKS[self.network]] if self.weight else []


@dataclass(frozen=True)
class AdversarialOptions:
    """The game with a discriminator that learns to tell the model's colours from true ones."""

    weight: float = option(0.0, "of the adversarial loss, 0.01 to 0.05; 0 = off", low=0.0)
    from_stage: int = option(1, "stage in which the adversarial loss sets in", low=1)
    criterion: str = option("bce", "of both sides of the adversarial game", choices=lambda: list(ADVERSARIAL))
    discriminator_width: int = option(64, "channels of the discriminator's first layer", low=8)


class Perceptual:
    """The perceptual loss with its network, which is made ready here; WeightsError says what to do when it can't be had."""

    def __init__(self, options: PerceptualOptions, feature_weights: Path | None, size: int) -> None:
        name = NETWORKS[options.network]
        smallest = features.FEATURES[name].smallest_side
        if size < smallest:
            raise ConfigError(
                f"loss.perceptual.network = {options.network}: takes pictures of {smallest} px or more, not {size} px. "
                f"Choose among {', '.join(NETWORKS)}, or set loss.perceptual.weight=0"
            )
        self.options, self.network = options, features.load(name, _file(options, feature_weights)).network
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, results: Tensor, truths: Tensor) -> Tensor:
        """See `losses.perceptual`."""
        return perceptual(results, truths, self.network.to(results.device))


def _file(options: PerceptualOptions, feature_weights: Path | None) -> Path:
    records = features.obtain(NETWORKS[options.network], feature_weights)
    try:
        while True:
            next(records)
    except StopIteration as done:
        path: Path = done.value
        return path
    except features.NotAvailable as error:
        others = " or ".join(name for name in NETWORKS if name != options.network)
        raise features.NotAvailable(
            f"the perceptual loss looks through {options.network}: {error} "
            f"Or choose another network: --set loss.perceptual.network={others}."
        ) from None


@dataclass(frozen=True)
class Shown:
    """What the model's player has shown to the discriminator in a step: N results without gradients, their B truths.

    gray (B, 1, H, W) and both pictures (., 3, H, W) are in [-1, 1]; trust (N,) says how much each result counts.
    """

    gray: Tensor
    results: Tensor
    truths: Tensor
    trust: Tensor


class Adversary:
    """The discriminator as the model's player sees it, and what was shown to it and it has not yet learned from."""

    def __init__(self, options: AdversarialOptions, size: int) -> None:
        if size < PatchGan.smallest_side:
            raise ConfigError(
                f"loss.adversarial: the patch discriminator needs pictures of {PatchGan.smallest_side} px or more, "
                f"not {size} px. Set loss.adversarial.weight=0"
            )
        self.options, self.judge, self.loss = (
            options,
            PatchGan(options.discriminator_width),
            ADVERSARIAL[options.criterion],
        )
        self.shown: deque[Shown] = deque()

    def fooled(self, gray: Tensor, results: Tensor) -> Tensor:
        """How far the discriminator is from taking each result for true, (N,): no gradient reaches its weights."""
        frozen = {name: parameter.detach() for name, parameter in self.judge.named_parameters()}
        scores = functional_call(self.judge, frozen, (_each(gray, results), results))
        return self.loss(scores, True)


class Judges:
    """The judges that have a weight: the perceptual network and the adversary."""

    def __init__(
        self, seen: PerceptualOptions, game: AdversarialOptions, feature_weights: Path | None, size: int
    ) -> None:
        self.options: dict[str, PerceptualOptions | AdversarialOptions] = {"perceptual": seen, "adversarial": game}
        self.perceptual = Perceptual(seen, feature_weights, size) if seen.weight else None
        self.adversary = Adversary(game, size) if game.weight else None
        self.last_onset = max(part.from_stage if part.weight else 1 for part in (seen, game))

    def weights(self, stage: int) -> dict[str, float]:
        """Of the judges that have set in by a stage."""
        return {name: part.weight for name, part in self.options.items() if stage >= part.from_stage}

    def players(self) -> list[Objective]:
        """The discriminator, if there is one."""
        return [Discriminator(self.adversary)] if self.adversary else []


class Judged(Objective):
    """A model's player with losses of its own, of these weights, and judges beside them."""

    def __init__(self, space: ColorSpace, own: Mapping[str, float], judges: Judges) -> None:
        super().__init__()
        self._space, self._own, self._judges, self.last_onset = space, dict(own), judges, judges.last_onset
        if not self.weights():
            choices = " or ".join(f"loss.{name}=1" for name in self._own)
            raise ConfigError(f"loss: nothing is minimized in stage 1. Set {choices}, or another weight above 0")

    def weights(self) -> dict[str, float]:
        """The weights above 0 of what counts in this stage."""
        weights = self._own | self._judges.weights(self.stage)
        return {name: weight for name, weight in weights.items() if weight}

    def loss_state(self) -> dict[str, Any]:
        """See Objective: the weights that count in this stage."""
        weights = self.weights()
        named = {f"{name}_weight": weights.get(name, 0.0) for name in ("mse", *self._own, *self._judges.options)}
        return {**named, "use_gan": "adversarial" in weights}

    @property
    def judging(self) -> bool:
        """Whether some judge counts in this stage."""
        return bool(self._judges.options.keys() & self.weights().keys())

    def judged(self, estimate: Tensor, x_0: Tensor, gray: Tensor, trusted: Tensor) -> dict[str, Tensor]:
        """The losses "perceptual" and "adversarial" where they count; in training, the discriminator is shown the same.

        estimate (N, C, h, w), N / B in a row for each truth x_0 (B, C, h, w) on its gray (B, 1, H, W) in levels; trusted
        (N,) says how much each of them counts.
        """
        weights, losses, judges = self.weights(), {}, self._judges
        grays = _each(gray, estimate)
        results, truths = (self._space.picture(x, y) / 127.5 - 1 for x, y in ((estimate, grays), (x_0, gray)))
        if "perceptual" in weights:
            assert judges.perceptual is not None
            losses["perceptual"] = weights["perceptual"] * (trusted * judges.perceptual(results, truths)).mean()
        if "adversarial" in weights:
            assert judges.adversary is not None
            fooled = judges.adversary.fooled(unit_gray(gray), results)
            losses["adversarial"] = weights["adversarial"] * (trusted * fooled).mean()
            if self.training:
                judges.adversary.shown.append(Shown(unit_gray(gray), results.detach(), truths, trusted))
        return losses


class Discriminator(Objective):
    """Learns to tell true colours from the model's, for the same gray (Isola et al. 2017, eq. 1, halved as they do)."""

    name = "discriminator"

    def __init__(self, adversary: Adversary) -> None:
        super().__init__()
        self.judge, self.from_stage = adversary.judge, adversary.options.from_stage
        self._adversary = adversary

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Loss "discriminator" of what the model's player showed of this batch just before."""
        shown = self._adversary.shown.popleft()
        trust = shown.trust.view(len(shown.truths), -1).mean(dim=1)  # of all results of a truth
        true = self._adversary.loss(self.judge(shown.gray, shown.truths), True)
        false = self._adversary.loss(self.judge(_each(shown.gray, shown.results), shown.results), False)
        return {"discriminator": 0.5 * ((trust * true).mean() + (shown.trust * false).mean())}


def _each(gray: Tensor, results: Tensor) -> Tensor:
    """The gray (N, 1, H, W) of each of N results."""
    return gray.repeat_interleave(len(results) // len(gray), dim=0)
