"""Distances between sets of pictures as lines, sentences and JSON-ready values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from tinct.evaluation.generated import Distances, FeatureSet
from tinct.metrics.distances import KERNEL_MOST
from tinct.metrics.features import Extractor
from tinct.metrics.sets import ENOUGH, RESAMPLES, Value

HEADING = ["", "value", "95% interval", "floor"]
_NO_FLOOR = (
    "No floor is known, so nothing shows how low this distance can be: real pictures are not at 0 either. Give other real "
    "pictures with --floor SET, or make the reference a file that has them: tinct fid REAL --floor OTHERS --save FILE.npz."
)


def lines(distances: Distances) -> Iterator[list[str]]:
    """A line per distance, as HEADING says; empty where there is nothing."""
    yield ["Frechet distance", *_shown(distances.frechet, distances.floor)]
    if distances.kernel:
        yield ["kernel distance", *_shown(distances.kernel, distances.kernel_floor)]


def markdown(distances: Distances, said: Sequence[str]) -> str:
    """The lines as a table, and the remarks."""
    rows = [HEADING, ["---"] * len(HEADING), *lines(distances)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return table + "\n\n" + "\n".join(f"- {remark}" for remark in said) + "\n"


def csv_rows(distances: Distances) -> Iterator[list[Any]]:
    """A header, then a line per distance."""
    yield ["distance", "value", "low", "high", "n", "floor", "floor n"]
    for name, value, floor in (
        ("frechet", distances.frechet, distances.floor),
        ("kernel", distances.kernel, distances.kernel_floor),
    ):
        if value:
            yield [name, value.value, *_ends(value), value.n, floor, distances.floor_n if floor is not None else None]


def remarks(distances: Distances, extractor: Extractor | None) -> Iterator[str]:
    """What the numbers are of, and how far they can be trusted. `extractor` is the one that looked at pictures here."""
    for role, each in (("Set", distances.first), ("Reference", distances.reference)):
        yield f"{role}: {each.of}, {counted(each.n)}{f', {each.size}' if each.size else ''}."
    if "" != distances.first.size != distances.reference.size != "":
        yield "The two sides are not of one size: what tells them apart may be that alone."
    yield from _about_features(distances, extractor)
    yield from _about_intervals(distances)
    yield _about_floor(distances)
    yield from _about_bias(distances)


def to_dict(distances: Distances, extractor: Extractor | None) -> dict[str, Any]:
    """Plain JSON-ready values; null where there is nothing."""
    floor = {"n": distances.floor_n, "of": distances.floor_of} if distances.floor is not None else None
    return {
        "frechet": _value(distances.frechet, distances.floor),
        "kernel": _value(distances.kernel, distances.kernel_floor) if distances.kernel else None,
        "floor": floor,
        "set": _about(distances.first),
        "reference": _about(distances.reference),
        "dimension": len(distances.first.statistics.mean),
        "extractor": _extractor(distances),
        "resizing": extractor.resizing if extractor else None,
        "remarks": list(remarks(distances, extractor)),
    }


def _shown(value: Value, floor: float | None) -> list[str]:
    interval = "" if math.isnan(value.error) else "–".join(f"{end:.4g}" for end in value.interval)
    return [f"{value.value:.4g}", interval, "" if floor is None else f"{floor:.4g}"]


def _value(value: Value, floor: float | None) -> dict[str, Any]:
    low, high = _ends(value)
    return {"value": value.value, "low": low, "high": high, "n": value.n or None, "floor": floor}


def _ends(value: Value) -> tuple[float | None, float | None]:
    return (None, None) if math.isnan(value.error) else value.interval


def _about(of: FeatureSet) -> dict[str, Any]:
    return {"of": of.of, "n": of.n, "size": of.size or None}


def _extractor(distances: Distances) -> str | None:
    return distances.first.statistics.extractor or distances.reference.statistics.extractor


def counted(n: int | None) -> str:
    """A number of pictures in words."""
    return "which does not say how many pictures it is of" if n is None else f"{n:,} pictures"


def _about_features(distances: Distances, extractor: Extractor | None) -> Iterator[str]:
    dimension = len(distances.first.statistics.mean)
    if extractor:
        yield f"Features: {extractor.label}. Pictures are {extractor.resizing}."
    else:
        yield f"Features: {_extractor(distances) or f'{dimension} of an extractor that no file names'}."
    for each in (distances.first, distances.reference):
        if not each.statistics.extractor:
            yield f"{each.of} does not say what made its {dimension} features: nothing shows that it was the same extractor."


def _about_intervals(distances: Distances) -> Iterator[str]:
    if distances.first.rows is None:
        yield "No interval: a statistics file has no pictures that could be drawn again."
    else:
        yield (
            f"Intervals: 1.96 standard errors, bootstrap over the set's pictures ({RESAMPLES} resamples), the reference "
            "held fixed."
        )
    if distances.kernel is None:
        yield "No kernel distance: it needs the pictures of both sides, and a statistics file has none."
    elif max(distances.first.n or 0, distances.reference.n or 0) > KERNEL_MOST:
        yield f"The kernel distance is of {KERNEL_MOST:,} pictures on a side at most, which changes its error alone."


def _about_floor(distances: Distances) -> str:
    if distances.floor is None:
        return _NO_FLOOR
    n, own = distances.floor_n, distances.first.n
    few = f" It is of fewer pictures than the {own:,} of the set, and so too high." if own and n < own else ""
    return (
        f"Floor: {n:,} other real pictures, {distances.floor_of}, against the same reference{_between(distances)}.{few}"
    )


def _between(distances: Distances) -> str:
    """Said of a floor for a number of pictures that the file does not keep."""
    kept = distances.reference.statistics.floor
    if kept is None or kept.of != distances.floor_of or distances.floor_n in kept.counts:
        return ""
    return ", between the numbers for which its file keeps one"


def _about_bias(distances: Distances) -> Iterator[str]:
    small = list(filter(None, map(_too_few, (distances.first, distances.reference))))
    if small:
        yield (
            f"Biased: {', and '.join(small)}. The Frechet distance is too high by an amount that shrinks as they grow more: "
            "compare it at equal numbers only. The kernel distance has no such bias."
        )


def _too_few(of: FeatureSet) -> str:
    """Why a set biases a Frechet distance; empty for one that is large enough."""
    dimension = len(of.statistics.mean)
    if of.n is None or of.n > max(dimension, ENOUGH - 1):
        return ""
    why = f"no more than features ({dimension:,})" if of.n <= dimension else f"fewer than {ENOUGH:,}"
    return f"the {of.n:,} pictures of {of.of} are {why}"
