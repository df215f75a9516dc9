"""`tinct prepare`: makes an imported set ready for training."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tinct.cli.common import chosen_values, confirm, console, interactive, schema_options, yes_option
from tinct.cli.dialogue import ask, say, show
from tinct.config import Leaf, from_dict, leaves, override
from tinct.data.discovery import IMPORTED, PREPARED, ImportedSet, discover_imported
from tinct.data.npz import NORMALIZATIONS
from tinct.data.prepare import TEST_SIZE, Prepared, PrepareOptions, prepare
from tinct.errors import ConfigError, unknown
from tinct.files import workspace

_BY_NUMBER = {str(normalization.option): name for name, normalization in NORMALIZATIONS.items()}
_HINTS = {
    "01": "[0, 1] float32",
    "-11": "[-1, 1] float32, recommended",
    "none": "uint8 0..255, a quarter of the storage",
}


def _flags() -> Iterator[Leaf]:
    """The options that take a value; what the import decides is said in words."""
    words = {"size": "the resolution that the import recorded, or 64", "test_size": f"{TEST_SIZE}, or as imported"}
    for leaf in leaves(PrepareOptions()):
        if leaf.type is not bool:
            yield dataclasses.replace(leaf, default=words.get(leaf.path, leaf.default))


@click.command(context_settings={"max_content_width": 110})
@click.argument("name", required=False)
@schema_options(_flags())
@click.option("--resplit", is_flag=True, help="Split anew, although the import brought splits.")
@click.option("--skip-unreadable", is_flag=True, help="Leave out pictures that can't be read, instead of stopping.")
@click.option("--processes", type=click.IntRange(min=1), help="Processes that decode pictures [default: all cores].")
@yes_option
def command(
    name: str | None, resplit: bool, skip_unreadable: bool, processes: int | None, yes: bool, **values: Any
) -> int:
    """Make the imported set NAME ready for training, in npzData/NAME/.

    Writes train.npz and test.npz, and beside each the raw store that training maps into memory. The normalization only
    concerns the NPZ: training reads the store. Run without arguments on a terminal, it asks.

    \b
    tinct prepare tiny
    tinct prepare tiny --normalize none --yes
    tinct prepare mine --size 128 --test-size 0.1 --val-size 0.1 --seed 7
    tinct prepare wide --size 128 --fit squash
    tinct prepare mine --min-spread 4
    """
    asks = interactive() and not yes
    sets = discover_imported(workspace())
    imported = _pick(sets, name, asks)
    if imported is None:
        return _cancelled()
    if values["normalize"] in _BY_NUMBER:
        values["normalize"] = _BY_NUMBER[values["normalize"]]
    flags = override(PrepareOptions, _recorded(imported), chosen_values(values))
    options = from_dict(PrepareOptions, {**flags, "resplit": resplit, "skip_unreadable": skip_unreadable})
    if asks and name is None:
        options = _questions(imported, options)
    target = workspace() / PREPARED / imported.name
    _summary(imported, target, options)
    if not confirm("Proceed with conversion?", yes):
        return _cancelled()
    try:
        _done(show(prepare(imported, target, options, processes)))
    except KeyboardInterrupt:
        console.print(f"\nInterrupted. Nothing was written to {target}.", markup=False)
        raise
    return 0


def _recorded(imported: ImportedSet) -> dict[str, Any]:
    """The size that the import recorded for now, as the default."""
    resolution = imported.metadata.get("config", {}).get("resolution")
    return {"size": min(resolution)} if isinstance(resolution, list) and resolution else {}


def _pick(sets: list[ImportedSet], name: str | None, asks: bool) -> ImportedSet | None:
    """The set of that name, or the one chosen from a list by number or name; None if Enter cancels."""
    if not sets:
        raise ConfigError(f"no imported set in {workspace() / IMPORTED}. Make one with `tinct import`.")
    if name is not None:
        return _find(sets, name)
    if not asks:
        raise ConfigError(f"NAME is missing. Imported sets: {', '.join(one.name for one in sets)}")
    for number, one in enumerate(sets, 1):
        state = ", interrupted" if one.interrupted else ""
        facts = f"{one.images:,} images, {one.categories} categories, {one.megabytes:.1f} MB{state}"
        console.print(f"  {number}) {one.name}: {facts}", markup=False)
    return ask("Number or name; Enter = cancel", lambda text: _find(sets, text) if text else None, "")


def _find(sets: list[ImportedSet], text: str) -> ImportedSet:
    by_name = {one.name: one for one in sets}
    if text in by_name:
        return by_name[text]
    if text.isdecimal() and 1 <= int(text) <= len(sets):
        return sets[int(text) - 1]
    if (workspace() / IMPORTED / text).is_dir():
        raise ConfigError(
            f"import '{text}' is not finished. Run `tinct import` with --name {text} --if-exists continue."
        )
    raise unknown("imported set", text, by_name)


def _questions(imported: ImportedSet, options: PrepareOptions) -> PrepareOptions:
    """Asks for everything, defaults shown; Enter takes them."""
    brought = [] if options.resplit else imported.metadata.get("splits") or []
    asked = {name: getattr(options, name) for name in ("test_size", "val_size", "seed", "size")}
    asked["test_size"] = TEST_SIZE if options.test_size is None else options.test_size
    for split in {"val", "test"} & set(brought):
        console.print(f"  The import brought a {split} split, which is kept.", markup=False)
        del asked[f"{split}_size"]
    helps = {leaf.path: leaf.help for leaf in leaves(options)}
    values = {
        path: ask(helps[path], lambda text, path=path: _checked(path, text), default)  # type: ignore[misc]
        for path, default in asked.items()
    }
    for number, name in _BY_NUMBER.items():
        console.print(f"  {number}) {_HINTS[name]}", markup=False)
    values["normalize"] = ask("Normalization", _normalization, NORMALIZATIONS[options.normalize].option)
    return dataclasses.replace(options, **values)


def _checked(path: str, text: str) -> Any:
    return getattr(from_dict(PrepareOptions, {path: text}), path)


def _normalization(text: str) -> str:
    name = _BY_NUMBER.get(text, text)
    if name not in NORMALIZATIONS:
        raise unknown("normalization", text, [*_BY_NUMBER, *NORMALIZATIONS])
    return name


def _summary(imported: ImportedSet, target: Path, options: PrepareOptions) -> None:
    normalization = NORMALIZATIONS[options.normalize]
    brought = [] if options.resplit else imported.metadata.get("splits") or []
    test = "as imported" if "test" in brought else TEST_SIZE if options.test_size is None else options.test_size
    plain = imported.images * options.size**2 * 4 / 1e6  # gray and rgb, a byte each
    facts = {
        "Set": f"{imported.name}: {imported.images:,} images, {imported.categories} categories",
        "Target": f"{target}" + (" (replaces the set that is there)" if target.exists() else ""),
        "Image size": f"{options.size}x{options.size}, {options.fit}",
        "Test split": test,
        "Validation split": "as imported" if "val" in brought else options.val_size or "none (training holds out 10%)",
        "Random state": options.seed,
        "Normalization": f"{normalization.title}, {normalization.dtype}",
        "Storage": f"{plain:,.0f} MB as uint8, {4 * plain:,.0f} MB as float32 before compression",
    }
    say("Conversion configuration", facts)


def _done(result: Prepared) -> None:
    facts: dict[str, object] = {f"{split} samples": f"{count:,}" for split, count in result.samples.items()}
    if result.skipped:
        facts["Skipped"] = f"{result.skipped} unreadable"
    if result.colourless:
        facts["Left out"] = f"{result.colourless:,} colourless"
    facts |= {name: f"{size:,.1f} MB" for name, size in result.megabytes.items() if name.endswith((".npz", ".rgb.npy"))}
    facts["Total"] = f"{sum(result.megabytes.values()):,.1f} MB in {result.folder}"
    say("Conversion complete", facts)
    console.print(f"\nNext: tinct train --data {result.folder.name}", markup=False)


def _cancelled() -> int:
    console.print("Cancelled. Nothing was changed.")
    return 1
