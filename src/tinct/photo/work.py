"""The two things that are done with photographs: colouring them, and making them gray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from PIL import Image

from tinct import __version__
from tinct.config import from_dict
from tinct.errors import ConfigError
from tinct.families import Colorizer
from tinct.images import MAX_MEGAPIXELS, Picture, Samples, provenance, read
from tinct.photo import extras
from tinct.photo.candidates import as_image, candidates, check_samples
from tinct.photo.colouring import PhotoOptions, colour_batch, goes_alone, one_colouring
from tinct.photo.hinted import check_hints, hinted
from tinct.photo.hints import Hints
from tinct.photo.memory import within_memory
from tinct.photo.preview import check_preview, previewed
from tinct.photo.records import Result, Work
from tinct.photo.reference import Reference, check_reference, towards

Coloured = tuple[list[Samples], tuple[str, ...]]  # frames, and notes for the user
Way = Callable[[Colorizer, Picture, PhotoOptions], Coloured]


def colouring(
    model: Colorizer,
    options: PhotoOptions,
    *,
    hints: Hints | None = None,
    reference: Reference | None = None,
    samples: int | None = None,
    preview: bool = False,
    quality: int = 95,
    force: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Work:
    """Colours photographs. Pictures in colour are left alone, unless `force`.

    With `samples`, each gets so many candidates beside it, their sheet and their uncertainty; a `preview` is the mean colour.
    With `hints` there should be one photograph; with a `reference`, the colours of each go towards its own.
    """
    seed = None if preview else options.seed
    how = {**asdict(options), "samples": samples, "preview": preview, "quality": quality}
    how |= hints.settings() if hints else {}
    if reference:
        check_reference(preview=preview)
        model, how = towards(model, reference), how | reference.settings()
    return Work(
        make=_maker(model, options, hints, samples, preview),
        settings={"model": model.name, "weights": model.header.get("sha256"), **how},
        facts={"model": model.name, "seed": seed, "version": __version__},
        note=provenance(__version__, model.name, seed),
        quality=quality,
        max_megapixels=max_megapixels,
        skip=None if force else lambda picture: IN_COLOUR if picture.in_colour else None,
        model=model,
        side_by_side=None  # candidates: whose an extra file is must be settled in order
        if samples
        else partial(goes_alone, model, (options.size or model.working_size) ** 2 * (options.draws or model.draws)),
    )


IN_COLOUR = "in colour already; --force colours them too"


def _maker(
    model: Colorizer, options: PhotoOptions, hints: Hints | None, samples: int | None, preview: bool
) -> Callable[[Picture], Result]:
    """One of the four ways to colour; ConfigError for options that don't go together."""
    if hints:
        check_hints(model, samples=samples, preview=preview)
        return lambda picture: Result(*hinted(model, picture, options, hints))
    if preview and samples:
        raise ConfigError(
            f"samples = {samples}: a preview is the mean colour, of which nothing is sampled. Say only one"
        )
    if preview:
        check_preview(options)
        return lambda picture: Result(*_every_page(previewed, model, picture, options))
    if samples is not None:
        check_samples(model, options, samples)
        return lambda picture: extras.result(
            picture,
            [candidates(model, sheet, options, samples=samples) for sheet in picture.sheets],
            model.name,
            options.seed,
        )
    return lambda picture: Result(*coloured(model, picture, options))


def graying(*, quality: int = 95, force: bool = False, max_megapixels: float = MAX_MEGAPIXELS) -> Work:
    """Makes photographs gray: the scan again, sample for sample, of one that was coloured here and saved without loss."""
    return Work(
        make=lambda picture: Result([gray for sheet in picture.sheets for gray in sheet.grays]),
        settings={"gray": True, "quality": quality},
        facts={"version": __version__},
        note="",
        quality=quality,
        max_megapixels=max_megapixels,
        replace=force,
    )


def coloured(model: Colorizer, picture: Picture, options: PhotoOptions) -> Coloured:
    """Every frame of every page in colour, and notes for the user; as `within_memory` where memory lacks."""
    return _every_page(_coloured, model, picture, options)


def _every_page(way: Way, model: Colorizer, picture: Picture, options: PhotoOptions) -> Coloured:
    """The frames of all pages, one page after the other, and each note once."""
    pages = [way(model, sheet, options) for sheet in picture.sheets]
    notes = dict.fromkeys(note for _, said in pages for note in said)
    return [frame for frames, _ in pages for frame in frames], tuple(notes)


def _coloured(model: Colorizer, picture: Picture, options: PhotoOptions) -> Coloured:
    if options.seed and not model.varies:
        raise ConfigError(f"seed = {options.seed}: {one_colouring(model)}, whatever the seed. Leave seed away")
    seeds = [options.seed] * len(picture.grays)  # the same noise in every frame of an animation: it flickers less

    def frames(chosen: PhotoOptions) -> list[Samples]:
        return colour_batch(model, picture.grays, seeds, chosen, tone=picture.tone)

    return within_memory(model, picture, options, frames)


def coloured_image(
    model: Colorizer,
    photo: Any,
    *,
    hints: Hints | None = None,
    reference: Reference | None = None,
    preview: bool = False,
    **options: Any,
) -> tuple[Image.Image, tuple[str, ...]]:
    """A photograph (path, bytes or PIL image) as an 8-bit RGB or RGBA image with its profile, and notes for the user."""
    picture, chosen = read(photo).first_page().in_8_bit(), from_dict(PhotoOptions, options)
    if reference:
        check_reference(preview=preview)
        model = towards(model, reference)
    if hints:
        check_hints(model, preview=preview)
        (first, *_), notes = hinted(model, picture, chosen, hints)
    else:
        (first, *_), notes = (previewed if preview else coloured)(model, picture, chosen)
    return as_image(first, picture), (*picture.notes, *notes)
