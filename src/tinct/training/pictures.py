"""What a run trains and validates on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tinct.color import rgb_to_cbcr
from tinct.data import degradation
from tinct.data.dataset import PreparedSet
from tinct.data.store import splits_in
from tinct.errors import ConfigError
from tinct.families import Colorizer, Model
from tinct.training.feed import Feed
from tinct.training.options import TrainingOptions


@dataclass(frozen=True)
class Pictures:
    """The pictures of a run. Test pictures are never among them."""

    train: PreparedSet
    validation: PreparedSet
    train_indices: NDArray[np.int64]
    validation_indices: NDArray[np.int64]
    held_out: bool  # validation is part of train, as the set has no val part

    @classmethod
    def open(cls, folder: Path, options: TrainingOptions) -> Pictures:
        """Opens a prepared set. Without a val part, a seeded share of train is held out."""
        train = PreparedSet.open(folder, "train")
        if "val" in splits_in(folder):
            validation = PreparedSet.open(folder, "val")
            some = _limited(np.arange(len(validation)), options)
            return cls(train, validation, np.arange(len(train)), some, False)
        kept, held = train.split_off(options.validation_fraction, options.seed)
        return cls(train, train, np.sort(kept), _limited(held, options), True)

    def feeds(self, options: TrainingOptions) -> tuple[Feed, Feed | None]:
        """The feeds of training and validation."""
        size, seed = options.batch_size, options.seed
        train = Feed(
            self.train, self.train_indices, size, seed, options.augment,
            degrade=options.degrade, degrade_share=options.degrade_share, accumulate=options.accumulate,
        )  # fmt: skip
        if not len(self.validation_indices):
            return train, None
        return train, Feed(self.validation, self.validation_indices, size, seed)

    def mean_cbcr(self) -> list[float]:
        """Mean chroma in levels of up to 2048 training pictures: the plainest baseline."""
        mean: list[float] = (
            rgb_to_cbcr(_spread(self.train, self.train_indices, 2048).float()).mean(dim=(0, 2, 3)).tolist()
        )
        return mean

    def shown(self, count: int) -> Tensor:
        """Some validation pictures, or training ones if there are none: uint8 (count or fewer, 3, H, W)."""
        if len(self.validation_indices):
            return _spread(self.validation, self.validation_indices, count)
        return _spread(self.train, self.train_indices, count)

    def check_size(self, model: Model) -> None:
        """ConfigError unless the pictures are of the size that the model is made for, and that its network can halve."""
        for pictures in (self.train, self.validation):
            height, width = pictures.rgb.shape[1:3]
            if min(height, width) != model.working_size:
                raise ConfigError(
                    f"the pictures of the set are {width}x{height} px, the model is for {model.working_size} px: "
                    f"add --set size={min(height, width)}, or prepare the set with --size {model.working_size}"
                )
            if height % model.multiple or width % model.multiple:
                raise ConfigError(
                    f"the pictures of the set are {width}x{height} px, the network needs sides that divide by "
                    f"{model.multiple}: prepare the set at another size, or give the network fewer levels"
                )


def check_degrading(options: TrainingOptions, model: Model) -> None:
    """ConfigError for a degradation that a model of this kind is never shown, and for a share of none."""
    if options.degrade == degradation.NONE and options.degrade_share != TrainingOptions.degrade_share:
        raise ConfigError(
            f"degrade_share = {options.degrade_share:g}: nothing is degraded. Add degrade=old, or leave it away"
        )
    if options.degrade != degradation.NONE and not isinstance(model, Colorizer):
        raise ConfigError(
            f"degrade = {options.degrade}: a model is shown degraded photographs to colour, and this family colours "
            f"none. Leave it away"
        )


def _spread(pictures: PreparedSet, indices: NDArray[np.int64], count: int) -> Tensor:
    """At most so many pictures, evenly spread over the indices: sets are often sorted by category."""
    places = np.linspace(0, len(indices) - 1, num=min(count, len(indices)), dtype=np.int64)
    return pictures.__getitems__(indices[places].tolist())[0]


def _limited(indices: NDArray[np.int64], options: TrainingOptions) -> NDArray[np.int64]:
    """The first `validation_limit` of the indices in a seeded order, so that every category has its chance."""
    shuffled = np.random.default_rng(options.seed).permutation(indices)
    return np.sort(shuffled[: options.validation_limit or None])
