"""Several models on the same pictures: their tables joined, ranked metric by metric, and tested against the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from tinct.errors import DataError
from tinct.evaluation.significance import PERMUTATIONS, holm, sign_flip
from tinct.evaluation.table import BASELINES, Column, Row, Table

LEVEL = 0.05  # below it a difference is told from chance


@dataclass(frozen=True)
class Entrant:
    """A model that was measured, and what is known of it besides its table."""

    table: Table
    parameters: int
    train_loss: float | None = None  # of the epoch whose weights these are
    facts: Mapping[str, Any] = field(default_factory=dict)  # family, space, size, epoch, what it was trained on ...
    remarks: tuple[str, ...] = ()  # what was done so that it could take part

    @property
    def name(self) -> str:
        """Of its row."""
        return self.rows[0].name

    @property
    def rows(self) -> tuple[Row, ...]:
        """Its own: the mean over its samples, and the best of several."""
        return tuple(row for row in self.table.rows if row.name not in BASELINES)


@dataclass(frozen=True)
class Comparison:
    """The models beside each other. `places` has the first three of each metric: metric -> row -> 1, 2 or 3.

    `p` has, metric -> row, how likely a difference from the best model as large as this one is by chance; corrected for the
    number of models. Metrics of which there is no value per picture, and those that have no best, are not tested.
    """

    entrants: tuple[Entrant, ...]
    places: Mapping[str, Mapping[str, int]]
    p: Mapping[str, Mapping[str, float]]
    missing: Mapping[str, str]  # metric -> why it is not there
    failed: Mapping[str, str]  # model -> why it is not there

    @property
    def table(self) -> Table:
        """The first one, which has the baselines."""
        return self.entrants[0].table

    @property
    def measures(self) -> tuple[Column, ...]:
        """The metrics of any model, in order: only models of several samples have a diversity."""
        return _measures(self.entrants)

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be said with the figures of whole sets."""
        return tuple(dict.fromkeys(note for entrant in self.entrants for note in entrant.table.notes))

    @property
    def rows(self) -> tuple[Row, ...]:
        """Truth, baselines, models, and after each the best of its samples."""
        return (*self._baselines, *(row for entrant in self.entrants for row in entrant.rows))

    @property
    def _baselines(self) -> tuple[Row, ...]:
        return tuple(row for row in self.table.rows if row.name in BASELINES)

    def entrant(self, row: str) -> Entrant | None:
        """The model whose row this is; None for baselines and for the best of several samples."""
        return next((entrant for entrant in self.entrants if entrant.name == row), None)

    def close(self, metric: str, row: str) -> bool:
        """Whether a model that is not the best could be it by chance."""
        return self.p.get(metric, {}).get(row, 0.0) >= LEVEL and self.entrant(row) is not None

    def better_baselines(self) -> dict[str, list[str]]:
        """Baseline -> metrics in which it is better than every model."""
        found: dict[str, list[str]] = {}
        for measure in self.measures:
            best = min((self.distance(measure, entrant.rows[0]) for entrant in self.entrants), default=None)
            for row in self._baselines:
                if row.name != "truth" and best is not None and self.distance(measure, row) < best:
                    found.setdefault(row.name, []).append(measure.name)
        return found

    def distance(self, measure: Column, row: Row) -> float:
        """How far a row is from the ideal, for ranking: less is better; infinite where it was not measured."""
        return _distance(measure, row, self.table)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready values: all but the values of single pictures."""
        tables = [entrant.table.to_dict() for entrant in self.entrants]
        plain = tables[0]
        return {
            "n": plain["n"],
            "models": {entrant.name: _about(entrant) for entrant in self.entrants},
            "rows": [asdict(row) for row in self.rows],
            "metrics": {name: about for table in tables for name, about in table["metrics"].items()},
            "places": {metric: dict(places) for metric, places in self.places.items()},
            "p_against_best": {metric: dict(p) for metric, p in self.p.items()},
            "test": f"paired sign-flip permutation test over pictures, {PERMUTATIONS} permutations, Holm-corrected",
            "protocol": {key: value for key, value in plain["protocol"].items() if key not in _OF_ONE_MODEL},
            "sizes": plain["sizes"],
            "dropped": plain["dropped"],
            "notes": list(self.notes),
            "missing": dict(self.missing),
            "failed": dict(self.failed),
        }


_OF_ONE_MODEL = ("model", "sampling", "seeds", "baselines")


def compare(
    entrants: Sequence[Entrant], missing: Mapping[str, str] | None = None, failed: Mapping[str, str] | None = None
) -> Comparison:
    """Ranks and tests models that were measured on the same pictures, the first one with the baselines.

    DataError when the pictures are not the same.
    """
    if not entrants:
        raise DataError("; ".join(["there is no model to compare", *dict.fromkeys((failed or {}).values())]))
    first = entrants[0].table
    for entrant in entrants:
        if entrant.table.pictures != first.pictures or entrant.table.sizes != first.sizes:
            raise DataError(
                f"{entrant.name} was measured on {len(entrant.table.pictures)} pictures, {entrants[0].name} on "
                f"{len(first.pictures)} others: only what was measured on the same pictures can be compared"
            )
    names = [entrant.name for entrant in entrants]
    if twice := {name for name in names if names.count(name) > 1}:
        raise DataError(f"two models have the name {' and '.join(sorted(twice))}: their rows could not be told apart")
    places, p = {}, {}
    for measure in _measures(entrants):
        ranked = _ranked(measure, entrants)
        places[measure.name] = _placed(measure, ranked)
        p[measure.name] = _tested(measure, ranked, entrants) if ranked else {}
    return Comparison(
        tuple(entrants), places, {name: values for name, values in p.items() if values}, missing or {}, failed or {}
    )


def _measures(entrants: Sequence[Entrant]) -> tuple[Column, ...]:
    return tuple({measure.name: measure for entrant in entrants for measure in entrant.table.measures}.values())


def _ranked(measure: Column, entrants: Sequence[Entrant]) -> list[Entrant]:
    """Those that have the metric, the best first."""
    table = entrants[0].table
    there = [entrant for entrant in entrants if measure.name in entrant.rows[0].cells]
    return sorted(there, key=lambda entrant: _distance(measure, entrant.rows[0], table))


def _placed(measure: Column, ranked: Sequence[Entrant]) -> dict[str, int]:
    """The first three; equal means share a place."""
    means = [entrant.rows[0].cells[measure.name].mean for entrant in ranked]
    places = {entrant.name: 1 + means.index(mean) for entrant, mean in zip(ranked, means, strict=True)}
    return {name: place for name, place in places.items() if place <= 3}


def _distance(measure: Column, row: Row, table: Table) -> float:
    cell = row.cells.get(measure.name)
    if cell is None:
        return float("inf")
    if measure.metric.better != "as the truth":
        return cell.mean if measure.metric.better == "lower" else -cell.mean
    truth = next((row.cells.get(measure.name) for row in table.rows if row.name == "truth"), None)
    return abs(cell.mean - truth.mean) if truth else float("inf")


def _tested(measure: Column, ranked: Sequence[Entrant], entrants: Sequence[Entrant]) -> dict[str, float]:
    """p of each other model against the best, corrected; of each baseline too, in a family of tests of its own."""
    best = ranked[0].table.values.get(ranked[0].name, {}).get(measure.name)
    if measure.metric.better == "as the truth" or best is None or len(best) < 2:
        return {}
    models = {entrant.name: entrant.table.values[entrant.name][measure.name] for entrant in ranked[1:]}
    baselines = {
        name: columns[measure.name]
        for name, columns in entrants[0].table.values.items()
        if name in BASELINES and measure.name in columns
    }
    return {**_against(best, models), **_against(best, baselines)}


def _against(best: Sequence[float], others: Mapping[str, Sequence[float]]) -> dict[str, float]:
    if not others:
        return {}
    differences = np.nan_to_num(np.array([*others.values()], dtype=np.float64) - np.array(best), nan=0.0)
    return holm(dict(zip(others, sign_flip(differences).tolist(), strict=True)))


def _about(entrant: Entrant) -> dict[str, Any]:
    protocol = entrant.table.protocol
    differ = entrant.table.samples_differ
    return {
        "parameters": entrant.parameters,
        "train_loss": entrant.train_loss,
        "seconds_per_picture": entrant.rows[0].seconds,
        "samples_per_picture": protocol.seeds,
        "samples_differ": asdict(differ) if differ else None,
        "sampling": protocol.sampling,
        **entrant.facts,
        "remarks": list(entrant.remarks),
    }
