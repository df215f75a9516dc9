"""What jobs do: colour photographs, or make pictures from noise, as a task that requests may name."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from torch import Tensor

from tinct import figures, zoo
from tinct.config import from_dict, option
from tinct.diffusion import Step
from tinct.errors import ConfigError, DataError, OutputError
from tinct.families import Colorizer
from tinct.figures import Rgb
from tinct.generation import GenerateOptions, as_pictures, generate_into
from tinct.images import FORMATS, Samples, probe, read, target, write
from tinct.photo import Hints, PhotoOptions, Reference, ReferenceOptions, colouring, hint, mask_of, reference_of
from tinct.photo import Work as Colouring
from tinct.photo.candidates import LEAST, MOST
from tinct.photo.colouring import full_size
from tinct.registry import Registry
from tinct.web.jobs import Job, Progress, Result, Work
from tinct.web.limits import Limits
from tinct.web.models import Tools
from tinct.web.results import result_of, zipped
from tinct.web.watching import watched

PREVIEW_SIDE, PREVIEW_PICTURES = 256, 16  # px at most of a photograph; pictures at most of those made from noise

O = TypeVar("O")  # noqa: E741 - options


MASK, REFERENCE = "hint_mask", "reference"
BESIDE = {  # pictures that go with photographs
    MASK: "RGBA picture of the photograph's size: opaque pixels are hints",
    REFERENCE: "picture in colour: the photographs' colours go towards its own",
}


@dataclass(frozen=True)
class ColorizeOptions(ReferenceOptions, PhotoOptions):
    """How photographs are coloured on request."""

    model: str | None = option(None, "name of a model that colours (default: the server's)")
    samples: int | None = option(
        None, "so many candidates too, their sheet and a map of where they differ", low=LEAST, high=MOST
    )
    preview: bool = option(False, "the mean colour alone, without a sample: pale, in a fraction of the time")
    hints: str | None = option(None, 'places whose colour is known: a JSON list of {"x", "y", "color", "radius"}')
    format: str | None = option(
        None, "kind of the files (default: that of each photograph).", choices=lambda: [*FORMATS]
    )
    quality: int = option(95, "of JPEG and AVIF; the other formats lose nothing", low=1, high=100)
    force: bool = option(False, "colour pictures that are in colour already, too")


@dataclass(frozen=True)
class MakeOptions(GenerateOptions):
    """How pictures are made from noise on request."""

    model: str | None = option(None, "name of a model that makes pictures (default: digits)")
    count: int = option(1, "how many pictures; more than one come in a ZIP", low=1)
    sheet: bool = option(False, "all of them side by side on one picture")


@dataclass(frozen=True)
class Upload:
    """A file that was sent: where it lies, and its name, which is never used as a path."""

    path: Path
    name: str


@dataclass(frozen=True)
class Task:
    """A kind of job: its options, what it does in words, and what makes its work of them, or raises ConfigError."""

    options: type
    help: str
    prepare: Callable[[Any, Sequence[Upload], Mapping[str, Upload], Limits], Work]
    takes_photographs: bool = False


TASKS: Registry[Task] = Registry("task")


def colorize(options: ColorizeOptions, uploads: Sequence[Upload], beside: Mapping[str, Upload], limits: Limits) -> Work:
    """The work of colouring: one photograph gives its picture, several or candidates a ZIP, whose manifest says what went wrong.

    ConfigError and PictureError at once for what can be told before anything is decoded.
    """
    if not uploads:
        raise ConfigError("no photograph: send at least one, as file")
    if len(uploads) > limits.max_files:
        raise ConfigError(f"{len(uploads)} photographs: at most {limits.max_files} go into one request")
    hints, goal = _hints(options.hints, beside.get(MASK)), _reference(options, beside.get(REFERENCE), limits)
    if hints and len(uploads) > 1:
        raise ConfigError(f"hints are for one photograph, not for {len(uploads)}")
    if len(uploads) == 1:
        probe(uploads[0].path, name=uploads[0].name, max_megapixels=limits.max_megapixels)
    return lambda tools, job: _colorize(tools, job, options, uploads, hints, goal, limits)


def _reference(options: ColorizeOptions, picture: Upload | None, limits: Limits) -> Reference | None:
    return reference_of(
        picture.path if picture else None, options.palette, options.reference_strength,
        name=picture.name if picture else "", max_megapixels=limits.max_megapixels,
    )  # fmt: skip


def _hints(text: str | None, mask: Upload | None) -> Hints | None:
    if not (text or mask):
        return None
    try:
        values = json.loads(text) if text else []
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"hints: not JSON: {error}") from None
    if not isinstance(values, list):
        raise ConfigError('hints: expected a list: [{"x": 120, "y": 80, "color": "#c02020", "radius": 5}]')
    return Hints([hint(value) for value in values], mask_of(mask.path) if mask else None)


def _colorize(
    tools: Tools,
    job: Job,
    options: ColorizeOptions,
    uploads: Sequence[Upload],
    hints: Hints | None,
    goal: Reference | None,
    limits: Limits,
) -> Result:
    model = zoo.colorizer(tools.model(options.model or tools.models.default))
    shown = _Shown(model, options.saturation)
    watch = _Watch(job, len(uploads), shown.look)
    work = colouring(
        watched(model, watch.see), _part(PhotoOptions, options), hints=hints, reference=goal,
        samples=options.samples, preview=options.preview, quality=options.quality, force=options.force,
        max_megapixels=limits.max_megapixels,
    )  # fmt: skip
    out, made, entries = _folder(job), list[Path](), list[dict[str, Any]]()
    for number, upload in enumerate(uploads, start=1):
        watch.next_item()
        try:
            paths, notes = _one(work, upload, out / str(number), options.format, shown if job.previews else None)
        except (DataError, OutputError) as error:
            if len(uploads) == 1:
                raise
            entries.append({"source": upload.name, "status": "failed", "error": str(error)})
            continue
        made += paths
        entries.append({"source": upload.name, "status": "done", "files": paths, "notes": notes})
    if len(uploads) == 1 and len(made) == 1:
        return result_of(made[0], made[0].name, tuple(entries[0]["notes"]))
    return zipped(job, made, entries)


def _one(
    work: Colouring, upload: Upload, out: Path, format: str | None, shown: _Shown | None
) -> tuple[list[Path], list[str]]:
    """The files of one photograph, as `tinct colorize` writes them, and notes for the user."""
    picture = read(upload.path, name=upload.name, max_megapixels=work.max_megapixels)
    if work.skip and (reason := work.skip(picture)):
        raise DataError(f"{upload.name}: {reason.replace('--force', 'force=true')}")
    path, picture = target(picture, out / upload.name, format)
    if shown:
        shown.gray = figures.reduced(picture.in_8_bit().gray, PREVIEW_SIDE)
    result = work.make(picture)
    write(result.frames, path, picture, note=work.note, quality=work.quality)
    paths = [path]
    for extra in result.extras:
        paths.append(extra.beside(path))
        write(extra.make(), paths[-1], extra.picture, note=extra.note, quality=work.quality)
    return paths, [*picture.notes, *result.notes]


class _Shown:
    """The photograph that is being coloured, small, on which each step is shown: the first draw of its first frame."""

    gray: Samples  # (h, w)

    def __init__(self, model: Colorizer, saturation: float) -> None:
        self.model, self.saturation = model, saturation

    def look(self, step: Step, seen: Tensor) -> Rgb:
        chroma = self.model.cbcr(step.x_0[:1], seen[:1])[0].float().cpu()
        return full_size(self.gray, self.saturation * chroma.nan_to_num())


def generate(options: MakeOptions, uploads: Sequence[Upload], beside: Mapping[str, Upload], limits: Limits) -> Work:
    """The work of making pictures: one gives a PNG, several a ZIP of them, or all a sheet."""
    if uploads or beside:
        raise ConfigError("file: pictures are made from noise, of no photograph. Leave it away")
    if options.count > limits.max_pictures:
        raise ConfigError(f"count = {options.count}: must be at most {limits.max_pictures}")
    return lambda tools, job: _generate(tools, job, options)


def _generate(tools: Tools, job: Job, options: MakeOptions) -> Result:
    model = zoo.generator(tools.model(options.model or "digits"))
    watch = _Watch(job, 1, lambda step, _: _grid([*as_pictures(model, step.x_t[:PREVIEW_PICTURES])]))
    watch.next_item()
    chosen = _part(GenerateOptions, options)
    made = list(generate_into(_folder(job), watched(model, watch.see), options.count, chosen, at_once=1))
    paths = [one.path for one in made if one.path]
    if options.sheet:
        path = job.folder / "sheet.png"
        figures.grid([one.picture for one in made], path, columns=math.ceil(math.sqrt(len(made))), scale=2)
        paths = [path]
    if len(paths) == 1:
        return result_of(paths[0], paths[0].name)
    return zipped(job, paths, [])


def _grid(pictures: Sequence[Rgb]) -> Rgb:
    """Side by side, without a gap."""
    columns = math.ceil(math.sqrt(len(pictures)))
    blank = [np.zeros_like(pictures[0])] * (-len(pictures) % columns)
    cells = [*pictures, *blank]
    return np.vstack([np.hstack(cells[start : start + columns]) for start in range(0, len(cells), columns)])


class _Watch:
    """Counts the walks of a job's pictures and tells each step, with a preview where the job wants them."""

    def __init__(self, job: Job, items: int, look: Callable[[Step, Any], Rgb]) -> None:
        self.job, self.items, self.look = job, items, look
        self.item = self.walk = 0

    def next_item(self) -> None:
        self.job.check()
        self.item, self.walk = self.item + 1, 0

    def see(self, step: Step, gray: Tensor | None) -> None:
        self.walk += step.done <= 1
        preview = _webp(self.look(step, gray)) if self.job.previews else None
        self.job.tell(Progress(self.item, self.items, max(1, self.walk), step.done, step.total, preview))


def _webp(picture: Rgb) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=85, method=0)
    return buffer.getvalue()


TASKS.add("colorize")(Task(ColorizeOptions, "colours photographs", colorize, takes_photographs=True))
TASKS.add("generate")(Task(MakeOptions, "makes pictures from noise", generate))


def _folder(job: Job) -> Path:
    folder = job.folder / "out"
    folder.mkdir()
    return folder


def _part(cls: type[O], options: Any) -> O:
    """The options of the class that these are more than."""
    return from_dict(cls, {item.name: getattr(options, item.name) for item in fields(cls)})  # type: ignore[arg-type]
