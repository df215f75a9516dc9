"""The models of a comparison: which weights, how each samples, and what is measured of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinct import zoo
from tinct.cli.compare_training import run_name
from tinct.cli.measuring import Source, for_sheet, mean_chroma, with_bar
from tinct.cli.pictures import sampling_of, weights_file
from tinct.config import from_dict
from tinct.errors import ConfigError, DataError, WeightsError
from tinct.evaluation import Comparison, Entrant, Measured, Protocol, Table, compare, evaluate
from tinct.families import Colorizer, comparing, sampling_options
from tinct.images import Samples
from tinct.metrics import Prepared
from tinct.photo import PhotoOptions, colour_batch
from tinct.training import budget
from tinct.training.folder import CONFIG, stored_config
from tinct.training.options import TrainingOptions

SHEET_PICTURES = 12  # on the contact sheet, evenly spread over all
_ANY = ("size", "seed", "saturation", "stretch")  # options that every model has


@dataclass(frozen=True)
class Entry:
    """A model that is to be measured: the name of its row, its weights, and how it samples unless flags say otherwise."""

    name: str
    weights: Path
    sampling: Mapping[str, Any]


@dataclass(frozen=True)
class Known:
    """An entry whose weights were looked at."""

    entry: Entry
    options: PhotoOptions
    protocol: Protocol
    header: Mapping[str, Any]
    parameters: int
    size: int  # short side that it sees, px


def entries(models: Sequence[str], families: Sequence[str], prefix: str, epoch: int | None) -> list[Entry]:
    """Models by name, and families by the runs that were trained for them; errors name what is not there."""
    found = [Entry(Path(name).stem if _is_path(name) else name, weights_file(name, epoch), {}) for name in models]
    runs = {family: run_name(prefix, family) for family in families}
    absent = [run for run in dict.fromkeys(runs.values()) if run not in zoo.available()]
    if absent:
        raise WeightsError(f"not trained yet: {', '.join(absent)}. Add --train, or name models with --models")
    found += [Entry(family, weights_file(run, epoch), comparing(family).sampling) for family, run in runs.items()]
    names = [entry.name for entry in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{', '.join(twice)}: named twice. Each model has one row")
    return found


def _is_path(name: str) -> bool:
    return Path(name).suffix in (".safetensors", ".pth") or "/" in name


def look_at(found: Sequence[Entry], given: Mapping[str, Any], base: Protocol) -> list[Known]:
    """Loads each of them once, so that whatever is wrong is found before anything is measured.

    given: the sampling options that were set; ConfigError for one that no model has.
    """
    known = [_known(entry, zoo.colorizer(zoo.load(str(entry.weights))), given, base) for entry in found]
    for name, value in given.items():
        if not any(getattr(one.options, name) == value for one in known):
            raise ConfigError(
                f"--{name} {value}: none of {', '.join(entry.name for entry in found)} has such an option"
            )
    chroma = mean_chroma([{"name": one.entry.name, **one.header} for one in known])
    return [replace(one, protocol=replace(one.protocol, **chroma)) for one in known]


def _known(entry: Entry, model: Colorizer, given: Mapping[str, Any], base: Protocol) -> Known:
    has = (*sampling_options(model), *_ANY, *(["draws"] if model.varies else []))
    chosen = {**entry.sampling, **given}
    options = from_dict(PhotoOptions, {name: value for name, value in chosen.items() if name in has})
    seeds = base.seeds if model.varies else 1
    protocol = replace(base, seeds=seeds, model=entry.name, sampling=sampling_of(model, options))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    header = {**model.header, "space": getattr(model.options, "space", "")}
    return Known(entry, options, protocol, header, parameters, options.size or model.working_size)


def measured(
    known: Sequence[Known], source: Source, ready: Prepared, device: str, failed: Mapping[str, str]
) -> tuple[Comparison, dict[str, list[Samples]], int]:
    """The comparison, the columns of its sheet, and how many pictures could not be read."""
    entrants: list[Entrant] = []
    columns: dict[str, list[Samples]] = {}
    reasons, unread = dict(failed), 0
    for one in known:
        alone = bool(entrants)
        pictures = source.open(quiet=alone or bool(reasons))
        mine = replace(one, protocol=replace(one.protocol, baselines=not alone, images=source.described()))
        try:
            table, shown = _measure(mine, pictures, ready, device)
        except (WeightsError, DataError) as error:  # the others can still be measured
            reasons[one.entry.name] = str(error)
            continue
        columns |= shown
        unread = pictures.failed
        entrants.append(
            Entrant(
                table, one.parameters, one.header.get("train_loss"), _facts(one), tuple(_remarks(one, table, source))
            )
        )
    return compare(entrants, ready.missing, reasons), columns, unread


def _measure(one: Known, pictures: Any, ready: Prepared, device: str) -> tuple[Table, dict[str, list[Samples]]]:
    model = zoo.colorizer(zoo.load(str(one.entry.weights))).to(device)
    places = set(np.linspace(0, len(pictures) - 1, num=min(SHEET_PICTURES, len(pictures)), dtype=int).tolist())

    def colour(grays: list[Samples], seeds: list[int]) -> list[Samples]:
        return colour_batch(model, grays, seeds, one.options)

    columns: dict[str, list[Samples]] = {}
    records = evaluate(pictures, colour, ready.measures, one.protocol, ready.sets)
    for record in with_bar(records, pictures, one.entry.name):
        if isinstance(record, Table):
            return record, columns
        for title, some in _shown(record, one, places):
            columns.setdefault(title, []).extend(some)
    raise AssertionError("evaluate ends with a Table")


def _shown(record: Measured, one: Known, places: set[int]) -> Iterator[tuple[str, list[Samples]]]:
    """Of a batch, the pictures of the sheet: truth and gray with the baselines, and the model's first sample."""
    first = record.done - len(record.shown["truth"])
    wanted = {"truth", "gray"} if one.protocol.baselines else set()
    others = [row for row in record.shown if row not in ("truth", "gray", "mean chroma")]
    for row in (*(row for row in record.shown if row in wanted), others[0]):
        title = one.entry.name if row == others[0] else row
        yield title, for_sheet(picture for place, picture in enumerate(record.shown[row], first) if place in places)


def _facts(one: Known) -> dict[str, Any]:
    """What is known of a model, by names that a reader understands; what is not known is left out."""
    header = one.header
    facts = {
        "family": header.get("family"),
        "space": header.get("space"),
        "epoch": header.get("epoch"),
        "trained on": header.get("data", {}).get("name"),
        "pictures seen": header.get("pictures_seen"),
        "CPU minutes": header.get("cpu_minutes"),
        "of a budget of": _budget(one.entry.weights.parent),
        "model": header.get("name"),
    }
    return {name: value for name, value in facts.items() if value not in (None, "")}


def _budget(folder: Path) -> str:
    """What the run of a folder may spend, in words; empty when it is no run or has no budget."""
    if not (folder / CONFIG).is_file():
        return ""
    values = stored_config(folder).get("training", {})
    known = {name: values[name] for name in ("budget_pictures", "budget_cpu_minutes") if name in values}
    return budget.described(from_dict(TrainingOptions, known))


def _remarks(one: Known, table: Table, source: Source) -> Iterator[str]:
    """What was done so that the model could take part, and what must be known of it."""
    shorts = {min(map(int, size.split(" x "))) for size in table.sizes}
    if shorts != {one.size}:
        yield (
            f"it sees pictures at {one.size} px (short side), where these are of {_span(shorts)} px: they were brought to "
            "that size for it, and its chroma to theirs"
        )
    if one.header.get("space") == "rgb":
        yield "it draws all of RGB; only the chroma is taken from it, the luma is the picture's own"
    if source.prepared is not None and one.header.get("data", {}).get("fingerprint") == source.prepared.fingerprint:
        yield "it was trained on these very pictures"


def _span(numbers: set[int]) -> str:
    return str(min(numbers)) if len(numbers) == 1 else f"{min(numbers)} to {max(numbers)}"


def given_options(options: PhotoOptions, changes: Sequence[str]) -> dict[str, Any]:
    """The sampling options that were set on the command line."""
    names = {change.partition("=")[0] for change in changes}
    return {name: value for name, value in asdict(options).items() if name in names}
