"""Which photographs are coloured, and where each goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinct.data.listing import no_pictures, only_pictures, tree_in
from tinct.errors import ConfigError, DataError
from tinct.images import FORMATS, suffixed
from tinct.photo.patterns import is_pattern, matched
from tinct.places import Place, Remote, same, within


@dataclass(frozen=True)
class Job:
    """One photograph to work on. `name` is its path below the folder that was given; the target's suffix may still change."""

    source: Place
    name: str
    target: Place
    format: str | None  # a name of FORMATS


@dataclass(frozen=True)
class Plan:
    """The jobs, and the folder that gets the manifest; None when the outputs lie beside single inputs."""

    jobs: tuple[Job, ...]
    folder: Place | None
    unreadable: tuple[tuple[Path, str], ...] = ()  # folders that could not be listed, and why


def plan(inputs: Sequence[Place], out: Place | None, *, label: str, format: str | None = None) -> Plan:
    """What is to be done with files, folders and patterns, and where results go.

    `out` with a picture's suffix is the one output of the one input, else it is a folder that mirrors what lies under
    the input folders, and under the folders that patterns begin with. Without `out`, results lie beside the inputs:
    `<stem>.<label><suffix>`, for a folder `<folder>.<label>/`. ConfigError where two photographs would get one output.
    """
    if not inputs:
        raise ConfigError("nothing to do: name files or folders of photographs")
    if out is not None and _is_file_name(out):
        return Plan((_single(inputs, out, format),), None)
    if isinstance(out, Remote) and out.on_the_web:
        raise ConfigError(
            f"-o {out}: nothing can be written to an address of the web. Choose a folder, or a store such as s3://"
        )
    if out is None and len(inputs) == 1 and inputs[0].is_dir():
        out = _beside(inputs[0], label)
    failed: list[OSError] = []
    jobs = dict.fromkeys(job for path in inputs for job in _jobs(path, out, label, format, failed))
    _refuse_collisions(jobs)
    return Plan(tuple(jobs), out, tuple((Path(error.filename), str(error.strerror)) for error in failed))


def _beside(folder: Place, label: str) -> Place:
    """`<folder>.<label>`, also of "." and of what ends in ".."."""
    if isinstance(folder, Path) and folder.name in ("", ".."):
        folder = folder.resolve()
    return folder.with_name(f"{folder.name}.{label}")


def _refuse_collisions(jobs: Iterable[Job]) -> None:
    owners: dict[Place, Job] = {}
    collisions = [
        (owner, job) for job in jobs if (owner := owners.setdefault(suffixed(job.target, job.format), job)) is not job
    ]
    if collisions:
        first, second = collisions[0]
        more = f" (and {len(collisions) - 1} more)" if len(collisions) > 1 else ""
        raise ConfigError(
            f"{first.source} and {second.source} would both become {suffixed(first.target, first.format)}{more}. Nothing was "
            "done. Leave --format out, give each kind a folder of its own ('album/**/*.jpg' takes one), or rename one."
        )


def _is_file_name(out: Place) -> bool:
    return out.suffix.lower() in _SUFFIX_FORMATS and not out.is_dir()


_SUFFIX_FORMATS = {suffix: name for name, suffix in FORMATS.items()} | {".jpeg": "jpeg", ".tiff": "tiff"}


def _single(inputs: Sequence[Place], out: Place, format: str | None) -> Job:
    if len(inputs) > 1 or inputs[0].is_dir() or is_pattern(inputs[0]):
        raise ConfigError(f"-o {out} is one file, but there is more than one photograph. Give a folder (no suffix).")
    implied = _SUFFIX_FORMATS[out.suffix.lower()]
    if format not in (None, implied):
        raise ConfigError(f"-o {out} is a {implied} file, but --format says {format}. Leave one of them out.")
    return Job(inputs[0], inputs[0].name, out, implied)


def _jobs(path: Place, out: Place | None, label: str, format: str | None, failed: list[OSError]) -> list[Job]:
    """Those of one input; DataError for a folder, or a pattern, without pictures. Folders that can't be listed are `failed`."""
    if is_pattern(path):
        return _of_pattern(path, out, label, format)
    if not path.is_dir():
        target = _labelled(path, label) if out is None else out / path.name
        return [Job(path, path.name, target, format)]
    if out is None:
        raise ConfigError(f"{path} is a folder among other inputs: say with -o where its results go.")
    if same(out, path):
        raise ConfigError(f"-o {out} is the folder of the photographs themselves. Choose another one.")
    tree = tree_in(path)
    failed += tree.unreadable
    names = [name for name in only_pictures(tree.names) if not within(path / name, out)]
    if not names and not tree.unreadable:
        raise no_pictures(path)
    return [Job(tree.place(name), name, out / name, format) for name in names]


def _of_pattern(pattern: Place, out: Place | None, label: str, format: str | None) -> list[Job]:
    found = {name: source for name, source in matched(pattern).items() if out is None or not within(source, out)}
    if not found:
        raise DataError(f"{pattern}: no such file, and no pictures match it as a pattern. '**' stands for any folders.")
    return [
        Job(source, name, _labelled(source, label) if out is None else out / name, format)
        for name, source in found.items()
    ]


def _labelled(path: Place, label: str) -> Place:
    return path.with_name(f"{path.stem}.{label}{path.suffix}")
