"""Pictures that a model makes while they are measured, and the real ones that they are measured against."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from tinct import figures
from tinct.cli.distances import looked_at, with_bar
from tinct.cli.extractors import extractor_named
from tinct.cli.sets import NamedSet, named_set
from tinct.evaluation.generated import Distances, FeatureSet, check_made_with, look, measure
from tinct.families import PictureGenerator, sampling_options
from tinct.generation import GenerateOptions, generate
from tinct.metrics.features import Extractor, Store

TOGETHER = 100  # pictures made at once
SHEET = 24  # pictures kept to be shown


class Making:
    """The pictures by name, made as they are asked for; how long that took, and the first of them for a sheet."""

    def __init__(self, model: PictureGenerator, num: int, options: GenerateOptions, together: int) -> None:
        self.model, self.num, self.options, self.together = model, num, options, together
        self.seconds, self.shown = 0.0, list[figures.Rgb]()

    def __iter__(self) -> Iterator[tuple[str, figures.Rgb]]:
        made = generate(self.model, range(1, self.num + 1), self.options, self.together)
        while True:
            started = time.perf_counter()
            one = next(made, None)
            self.seconds += time.perf_counter() - started
            if one is None:
                return
            self.shown += [one.picture] if len(self.shown) < SHEET else []
            yield f"picture {one.number} of {self.model.name}", one.picture

    def facts(self) -> dict[str, Any]:
        """How the pictures were made."""
        own = {key: getattr(self.model.options, key, None) for key in sampling_options(self.model)}
        chosen = {key: value for key, value in asdict(self.options).items() if value is not None}
        return {
            "num": self.num,
            "sampling": {key: value for key, value in {**own, **chosen}.items() if value is not None},
            "seconds_per_picture": self.seconds / self.num,
            "device": str(next(self.model.parameters()).device),
        }

    def described(self) -> str:
        """The same in words."""
        facts = self.facts()
        sampling = ", ".join(f"{key} {value}" for key, value in facts["sampling"].items())
        return f"{self.model.name}: {sampling}; {facts['seconds_per_picture']:.3g} s per picture on {facts['device']}."


@dataclass
class Real:
    """Real pictures by their features: the reference and, for the floor, others of the same kind. Looked at when first asked."""

    named: NamedSet
    num: int
    store: Store
    sets: tuple[FeatureSet, FeatureSet | None] | None = None

    @classmethod
    def of(cls, stats: str, num: int, extractor: str | None, feature_weights: str | None) -> Real:
        """What `--stats` names, for so many made pictures; errors now, not after an hour, where they can't be compared."""
        named = named_set(stats)
        known = [named.statistics] if named.statistics else []
        seeing = extractor_named(extractor, feature_weights, known)
        for statistics in known:
            check_made_with(seeing, statistics, named.of)
        return cls(named, num, Store(seeing))

    @property
    def extractor(self) -> Extractor:
        """What looks at the pictures."""
        return self.store.extractor

    def distances(self, making: Making, text: str = "pictures") -> Distances:
        """Of the pictures, as they are made, with bars."""
        seen = look(making, self.store, f"model {making.model.name}")
        made = with_bar(seen, text, making.num, FeatureSet)
        self.sets = self.sets or self._looked_at()
        return with_bar(measure(made, *self.sets), "bootstrap", 1, Distances)

    def _looked_at(self) -> tuple[FeatureSet, FeatureSet | None]:
        real, held_out = looked_at(self.named, self.store, False), self.named.held_out
        return real, looked_at(named_set(held_out).some(self.num), self.store, False) if held_out else None
