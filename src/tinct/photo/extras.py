"""The files of candidates: each of them, a contact sheet, and a map of where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image

from tinct import __version__, figures
from tinct.figures import Rgb
from tinct.images import Picture, Samples, provenance
from tinct.photo.candidates import Candidates
from tinct.photo.colouring import full_size
from tinct.photo.records import Extra, Result

TOP = 40.0  # levels; the brightest colour of the map: one scale for all photographs, so that their maps compare
MAP_SIDE, CELL_SIDE = 2048, 400  # px at most, of the map and of a picture on the sheet


def result(picture: Picture, pages: Sequence[Candidates], model: str, seed: int) -> Result:
    """The most typical candidate, and beside it every one, their sheet and the map. What the manifest says counts from 1.

    A picture of several pages has the candidates of each; what is typical, the sheet and the map are those of the first.
    """
    found, note = pages[0], provenance(__version__, model, seed)
    chosen = _frames(pages, found.representative)
    drawing = Picture("", (found.picture.gray,))  # a drawing has no metadata but its note
    extras = [_candidate(picture, pages, index, model, chosen) for index in range(len(found))]
    extras.append(Extra("sheet", lambda: [sheet(found)], drawing, f"{note}, {len(found)} candidates", ".png"))
    scale = f"{note}, where {len(found)} candidates differ: black 0, bright yellow {TOP:g} levels of chroma or more"
    extras.append(Extra("uncertainty", lambda: [uncertainty_map(found)], drawing, scale, ".png"))
    facts = {"representative": found.representative + 1, "seeds": found.seeds}
    return Result(chosen, tuple(dict.fromkeys(note for page in pages for note in page.notes)), extras, facts)


def _frames(pages: Sequence[Candidates], index: int) -> list[Samples]:
    return [frame for page in pages for frame in page.frames(index)]


def _candidate(picture: Picture, pages: Sequence[Candidates], index: int, model: str, chosen: list[Samples]) -> Extra:
    make = partial(_frames, pages, index) if index != pages[0].representative else lambda: chosen
    return Extra(f"candidate-{index + 1}", make, picture, provenance(__version__, model, pages[0].seeds[index]))


def sheet(found: Candidates) -> Rgb:
    """The (first frame of the) scan, the candidates by number, the most typical one in a frame, and the map."""
    gray = figures.reduced(found.picture.in_8_bit().gray, CELL_SIDE)
    pictures = [full_size(gray, chroma) for chroma in found.chroma[0]]
    return figures.candidate_sheet(gray, pictures, found.representative, _brought_up(found, gray.shape), TOP)


def uncertainty_map(found: Candidates) -> Rgb:
    """The uncertainty in colours, as large as the photograph but at most MAP_SIDE pixels long."""
    height, width = found.picture.gray.shape
    factor = min(1.0, MAP_SIDE / max(height, width))
    return figures.heat(_brought_up(found, (max(1, round(factor * height)), max(1, round(factor * width)))), TOP)


def _brought_up(found: Candidates, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """The uncertainty at another size, by bicubic; what that takes below 0 is 0."""
    image = Image.fromarray(found.uncertainty).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(image).clip(0, None)
