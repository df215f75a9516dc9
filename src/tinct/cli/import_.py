"""`tinct import`: brings an image set into imageData/."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tinct.cli.common import chosen_values, confirm, console, interactive, schema_options, yes_option
from tinct.cli.dialogue import ask, nothing_said, say, show
from tinct.config import Leaf, from_dict, leaves, override
from tinct.data.discovery import IMPORT_METADATA, IMPORTED, read_imported
from tinct.data.download import Download
from tinct.data.import_writer import Imported, ImportOptions, parse_resolution
from tinct.data.importing import ImportJob, run_import, standing
from tinct.data.sources import SOURCES
from tinct.errors import ConfigError
from tinct.files import checked_name, workspace

_ASKED = ("resolution", "max_images", "max_size_mb", "categories")
_STATES = {"complete": "a complete import", "interrupted": "an interrupted import", "unfinished": "a broken-off import"}


def _flags() -> Iterator[Leaf]:
    """The options that take a value; what the source decides is said in words."""
    for leaf in leaves(ImportOptions()):
        if leaf.type is not bool:
            own = {kind: source.defaults.get(leaf.path) for kind, source in SOURCES.items()}
            if leaf.path == "split":
                own = {kind: source.splits[0] for kind, source in SOURCES.items()}
            words = [f"{value} for {kind}" for kind, value in own.items() if value is not None]
            usual = [] if leaf.default is None else [leaf.default]
            yield dataclasses.replace(leaf, default=", ".join(map(str, [*usual, *words]))) if words else leaf


@click.command(context_settings={"max_content_width": 110})
@click.argument("kind", required=False, metavar="[" + "|".join(SOURCES) + "]")
@click.option(
    "--source", type=click.Path(path_type=Path), metavar="PATH", help="A zip or folder to read, not a download."
)
@click.option(
    "--gray", type=click.Path(path_type=Path), metavar="DIR", help="pairs: gray pictures; --source has colour."
)
@click.option("--url", metavar="URL", help="tiny-imagenet: fetch from this address instead of the published one.")
@click.option("--md5", metavar="HEX", help="What the MD5 of a file from --url must be.")
@click.option("--name", metavar="NAME", help="Name of the set: pictures go to imageData/NAME/.")
@schema_options(_flags())
@click.option("--resize", is_flag=True, help="Write pictures at the resolution; without it files stay byte for byte.")
@click.option("--skip-unreadable", is_flag=True, help="Leave out files that are no pictures, instead of stopping.")
@click.option(
    "--if-exists", type=click.Choice(["continue", "replace", "cancel"]), help="What to do with a set of that name."
)
@yes_option
def command(
    kind: str | None,
    source: Path | None,
    gray: Path | None,
    url: str | None,
    md5: str | None,
    name: str | None,
    resize: bool,
    skip_unreadable: bool,
    if_exists: str | None,
    yes: bool,
    **values: Any,
) -> int:
    """Bring an image set into imageData/NAME/.

    Pictures are taken evenly from all categories until a limit is reached. Run without arguments on a terminal, it asks.
    Ctrl+C keeps what is complete; the same command with --if-exists continue goes on.

    \b
    tinct import tiny-imagenet --name tiny                                    fetch it (248 MB), take 10,000
    tinct import tiny-imagenet --source tiny-imagenet-200.zip --name tiny --max-images 6000 --max-size-mb 100
    tinct import tiny-imagenet --name fish --categories n01443537,n01629819
    tinct import folder --source ~/Pictures --name mine --max-size-mb 5000
    tinct import pairs --source landscapes/color --gray landscapes/gray --name land
    tinct import mnist --source mnist/ --name digits                          all 70,000, 28x28
    """
    asks = interactive() and not yes
    defaults = dict(SOURCES[kind].defaults) if kind else {}
    flags = override(ImportOptions, defaults, chosen_values(values))
    options = from_dict(ImportOptions, {**flags, "resize": resize, "skip_unreadable": skip_unreadable})
    parse_resolution(options.resolution)
    if asks and nothing_said(click.get_current_context()):
        kind, source, name, options = _questions(options)
    kind = kind or _missing("the kind of set", f"one of {', '.join(SOURCES)}")
    name = name or (ask("Model name", _name) if asks else _missing("--name", "a name for the set"))
    job = ImportJob(kind, _name(name), options, source, gray, _download(kind, source, url, md5))
    folder = workspace() / IMPORTED / job.name
    choice = _choice(folder, if_exists, asks, yes)
    if choice == "cancel":
        return _cancelled()
    _summary(job, folder, choice)
    if not confirm("Proceed with import?", yes):
        return _cancelled()
    try:
        _done(show(run_import(dataclasses.replace(job, if_exists=choice), workspace())))
    except KeyboardInterrupt:
        _kept(folder)
        raise
    return 0


def _questions(options: ImportOptions) -> tuple[str, Path | None, str, ImportOptions]:
    """Asks for everything, defaults shown; Enter takes them."""
    for kind, source in SOURCES.items():
        console.print(f"  {kind:<15}{source.title}", markup=False)
    fetched = (kind for kind, source in SOURCES.items() if source.download)
    kind = ask("Kind of set", _kind, next(fetched, None))
    if SOURCES[kind].download:
        path = ask("Zip or folder, if you have it; Enter = download", _path, "")
    else:
        path = ask("Zip or folder", _path)
    name = ask("Model name", _name)
    values = {
        leaf.path: ask(leaf.help, lambda text, path=leaf.path: _checked(path, text), leaf.default)  # type: ignore[misc]
        for leaf in leaves(dataclasses.replace(options, **SOURCES[kind].defaults))
        if leaf.path in _ASKED
    }
    return kind, path, name, dataclasses.replace(options, **values)


def _kind(text: str) -> str:
    assert SOURCES[text]  # raises UnknownName with the nearest
    return text


def _path(text: str) -> Path | None:
    path = Path(text).expanduser() if text else None
    if path and not path.exists():
        raise ConfigError(f"{path}: not found")
    return path


def _name(text: str) -> str:
    return checked_name(text.strip(), "name")


def _checked(path: str, text: str) -> Any:
    value = getattr(from_dict(ImportOptions, {path: text}), path)
    if path == "resolution":
        parse_resolution(value)
    return value


def _missing(what: str, wanted: str) -> str:
    raise ConfigError(f"{what} is missing: say {wanted}. See `tinct import --help`.")


def _download(kind: str, source: Path | None, url: str | None, md5: str | None) -> Download | None:
    """What is fetched instead of the published file. A flag that could have no effect is an error."""
    published = SOURCES[kind].download
    if md5 and not url:
        raise ConfigError("--md5 is for a file from --url; the published file is checked anyway. Drop it.")
    if url and (source or published is None):
        raise ConfigError("--url is for downloads" + (": drop it, or --source." if source else f"; {kind} has none."))
    return Download(url, md5=md5.lower() if md5 else None) if url else published


def _choice(folder: Path, if_exists: str | None, asks: bool, yes: bool) -> str | None:
    """What to do with a set that is there: None when there is none, or nobody can be asked (the import then refuses)."""
    state = standing(folder)
    if state not in _STATES or if_exists:
        return if_exists if state in _STATES else None
    if yes:
        return "continue"
    if not asks:
        return None
    question = f"{folder} holds {_STATES[state]}. What now?"
    answer: str = click.prompt(question, type=click.Choice(["continue", "replace", "cancel"]), default="continue")
    return answer


def _summary(job: ImportJob, folder: Path, choice: str | None) -> None:
    options, source = job.options, SOURCES[job.source]
    origin = job.path or (job.download.url if job.download else "?")
    facts = {
        "Source": f"{job.source} from {origin}" + (f" and {job.gray}" if job.gray else ""),
        "Name": f"{job.name}, into {folder}" + (f" ({choice} what is there)" if choice else ""),
        "Resolution": options.resolution
        + (" (pictures are resized)" if options.resize else " (files stay as they are)"),
        "Maximum images": f"{options.max_images:,}",
        "Maximum size": f"{options.max_size_mb:g} MB",
        "Categories": options.categories,
        "Split": options.split or source.splits[0],
    }
    say("Import configuration", facts)


def _done(result: Imported) -> None:
    facts = {
        "Images": f"{result.images:,}" + (f" ({result.skipped} unreadable skipped)" if result.skipped else ""),
        "Size": f"{result.megabytes:.1f} MB",
        "Categories": result.categories,
        "Ended by": result.reason,
        "Directory": result.folder,
    }
    say("Import complete", facts)
    console.print(f"\nNext: tinct prepare {result.folder.name}", markup=False)


def _kept(folder: Path) -> None:
    """After Ctrl+C: what there is now."""
    if (folder / IMPORT_METADATA).exists():
        kept = read_imported(folder)
        text = f"Interrupted. {folder} holds {kept.images:,} complete pictures ({kept.megabytes:.1f} MB)."
        console.print(f"\n{text} --if-exists continue goes on.", markup=False)
    else:
        console.print("\nInterrupted. No picture was imported.", markup=False)


def _cancelled() -> int:
    console.print("Cancelled. Nothing was changed.")
    return 1
