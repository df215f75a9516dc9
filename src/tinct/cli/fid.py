"""`tinct fid`: how far a set of pictures is from a reference, with what real pictures measure beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from tinct import __version__
from tinct.cli.common import console, errors
from tinct.cli.distances import looked_at, show, with_bar
from tinct.cli.extractors import extractor_named, extractor_options
from tinct.cli.measuring import check_writable
from tinct.cli.sets import NamedSet, named_set
from tinct.errors import OutputError
from tinct.evaluation.generated import Distances, FeatureSet, check_made_with, measure, with_floor
from tinct.evaluation.generated_report import counted, remarks, to_dict
from tinct.files import write_json
from tinct.metrics.distances import counts_up_to
from tinct.metrics.features import Extractor, Store
from tinct.metrics.frechet import check_comparable
from tinct.metrics.statistics import save_statistics

_MOST_NAMES = 5  # of files that are no pictures
_NONE = "none"  # for --floor


@click.command(context_settings={"max_content_width": 110})
@click.argument("first", metavar="SET")
@click.argument("reference", metavar="[REFERENCE]", required=False)
@click.option(
    "--floor", metavar="SET", help="Other real pictures, for the floor; none = without.  [default: see below]"
)
@click.option(
    "--save",
    metavar="FILE.npz",
    type=click.Path(path_type=Path),
    help="Without a REFERENCE: write the statistics of SET, and its floor, as pytorch-fid reads them.",
)
@click.option(
    "--num",
    type=click.IntRange(min=10),
    metavar="N",
    help="Only the first N pictures of SET, in natural order (2 before 10).",
)
@click.option(
    "--reference-num", type=click.IntRange(min=10), metavar="N", help="Only the first N pictures of REFERENCE."
)
@extractor_options
@click.option(
    "--any-size", is_flag=True, help="Take pictures that are not square, or of several sizes, and squash them."
)
@click.option("--json", "json_file", metavar="FILE", type=click.Path(path_type=Path), help="Write the figures as JSON.")
def command(
    first: str,
    reference: str | None,
    floor: str | None,
    save: Path | None,
    num: int | None,
    reference_num: int | None,
    extractor: str | None,
    feature_weights: str | None,
    any_size: bool,
    json_file: Path | None,
) -> None:
    """Measure the Frechet and the kernel distance of a SET of pictures from a REFERENCE.

    \b
    tinct fid generated_images data:mnist
    tinct fid generated_images real/ --floor more_real/
    tinct fid data:mnist --save mnist.npz
    tinct fid generated_images mnist.npz --num 2000 --json fid.json

    Each is a folder or zip of pictures, data:NAME or data:NAME/PART of a prepared set (its train part unless another is
    said), or an .npz of statistics.

    The floor is what other real pictures, as many as SET has, measure against the same REFERENCE. They are those of --floor;
    else those that a statistics file took along; else, for the train part of a prepared set, its test part.
    """
    _check_usage(reference, reference_num, save, json_file)
    one, other = _first(named_set(first), num, "--num"), None
    if reference:
        other = _against(_first(named_set(reference), reference_num, "--reference-num"), floor)
    spare = _held_out(floor, other or one)
    sets = [each for each in (one, other, spare) if each]
    seeing = _seeing(sets, extractor, feature_weights, any_size)
    for each in sets:
        _say_ignored(each)
    if save:
        _save(one, spare, save, seeing, any_size)
        return
    assert other is not None
    distances = _measured(one, other, spare, seeing, any_size)
    show(distances, remarks(distances, seeing))
    if json_file:
        write_json(json_file, {**to_dict(distances, seeing), "version": __version__})
        console.print(f"wrote {json_file}", markup=False)


def _check_usage(reference: str | None, reference_num: int | None, save: Path | None, json_file: Path | None) -> None:
    """UsageError for what can't go together; OutputError now for what can't be written."""
    if not (reference or save):
        raise click.UsageError(
            "say what to measure against: tinct fid SET REFERENCE, or keep the statistics: --save FILE.npz"
        )
    if reference and save:
        raise click.UsageError("--save keeps the statistics of one set: leave the REFERENCE away")
    if reference_num and not reference:
        raise click.UsageError("--reference-num is of a REFERENCE, and there is none: for SET, it is --num")
    if save and json_file:
        raise click.UsageError("--json is of a distance, and --save measures none")
    if save and save.suffix != ".npz":
        raise OutputError(f"{save}: statistics are kept as .npz; name it {save.with_suffix('.npz').name}")
    for path in (save, json_file):
        if path:
            check_writable(path)


def _first(named: NamedSet, num: int | None, flag: str) -> NamedSet:
    """The first so many of a set."""
    if num is None:
        return named
    if named.pictures is None:
        raise click.UsageError(f"{flag} is of pictures, and {named.of} has none: it holds statistics")
    return named.first(num)


def _against(named: NamedSet, floor: str | None) -> NamedSet:
    """The reference, without the floor that it took along where none is wanted."""
    if floor == _NONE and named.statistics:
        return replace(named, statistics=replace(named.statistics, floor=None))
    return named


def _held_out(floor: str | None, reference: NamedSet) -> NamedSet | None:
    """The pictures for the floor: those that were named, else those which the reference's set has besides."""
    name = reference.held_out if floor is None else floor
    if name is None or name == _NONE:
        return None
    found = named_set(name)
    if found.pictures is None:
        raise click.UsageError(f"--floor is of pictures, and {name} has none: it holds statistics")
    return found


def _seeing(
    sets: list[NamedSet], extractor: str | None, feature_weights: str | None, any_size: bool
) -> Extractor | None:
    """The extractor, if there are pictures to look at; one that did not make a file's statistics is refused."""
    known = [(each.of, each.statistics) for each in sets if each.statistics]
    if len(known) == len(sets):
        given = {"--extractor": extractor, "--feature-weights": feature_weights, "--any-size": any_size}
        for flag in (flag for flag, value in given.items() if value):
            raise click.UsageError(f"{flag} is for pictures, and there are none: both sides are statistics")
        check_comparable(known[0][1], known[-1][1])
        return None
    seeing = extractor_named(extractor, feature_weights, [statistics for _, statistics in known])
    for file, statistics in known:
        check_made_with(seeing, statistics, file)
    return seeing


def _say_ignored(named: NamedSet) -> None:
    """Names files that are no pictures."""
    if named.ignored:
        more = len(named.ignored) - _MOST_NAMES
        names = ", ".join(named.ignored[:_MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")
        errors.print(f"{named.of}: no pictures, left out: {names}", markup=False)


def _measured(
    one: NamedSet, other: NamedSet, spare: NamedSet | None, seeing: Extractor | None, any_size: bool
) -> Distances:
    store = Store(seeing) if seeing else None
    first, reference = looked_at(one, store, any_size), looked_at(other, store, any_size)
    held_out = _looked_at_some(spare, first, store, any_size) if spare else None
    return with_bar(measure(first, reference, held_out), "bootstrap", 1, Distances)


def _looked_at_some(spare: NamedSet, beside: FeatureSet, store: Store | None, any_size: bool) -> FeatureSet:
    """The features of the pictures for the floor, as many as the set beside them has."""
    return looked_at(spare if beside.n is None else spare.some(beside.n), store, any_size)


def _save(one: NamedSet, spare: NamedSet | None, path: Path, seeing: Extractor | None, any_size: bool) -> None:
    """Writes the statistics of a set, with its floor where there are other pictures."""
    store = Store(seeing) if seeing else None
    found = looked_at(one, store, any_size)
    if spare:
        held_out = _looked_at_some(spare, found, store, any_size)
        found = with_bar(with_floor(found, held_out, counts_up_to(held_out.n or 0)), "floor", 1, FeatureSet)
    save_statistics(path, found.statistics)
    console.print(f"{path}: {found.of}, {counted(found.n)}; {found.statistics.extractor}", markup=False)
    floor = found.statistics.floor
    if floor is None:
        console.print("It has no floor: to give it one, add --floor SET, other real pictures.")
    else:
        value, n = floor.at(floor.counts[-1])
        console.print(f"Its floor: {value:.4g}, which {n:,} pictures of {floor.of} measure", markup=False)
