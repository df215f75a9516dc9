"""Families that play against a discriminator, so that dull means between two colours don't pass for true."""

from __future__ import annotations

from dataclasses import dataclass

from tinct.config import option
from tinct.families.base import FAMILIES
from tinct.families.judging import AdversarialOptions
from tinct.families.oneshot import OneShotOptions, PaintingLosses, PlainColorizerOptions
from tinct.families.regression import PaintingFamily


@dataclass(frozen=True)
class GameOptions(AdversarialOptions):
    """The game that the family is made of."""

    weight: float = option(1.0, "of the adversarial loss", low=0.0)


@dataclass(frozen=True)
class GameLosses(PaintingLosses):
    """The game, and the mean absolute error beside it (Isola et al. 2017, eq. 4)."""

    mse: float = option(0.0, "weight of the mean squared error; 0 = off", low=0.0)
    l1: float = option(10.0, "weight of the mean absolute error; 0 = the game alone", low=0.0)
    adversarial: GameOptions = GameOptions()


FAMILIES.add("gan")(PaintingFamily(PlainColorizerOptions, GameLosses))
FAMILIES.add("unetgan")(PaintingFamily(OneShotOptions, GameLosses))
