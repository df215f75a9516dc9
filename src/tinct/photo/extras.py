"""The files of candidates: each of them, a contact sheet, and a map of where they differ."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image

from tinct import __version__, figures
from tinct.figures import Rgb
from tinct.images import Picture, Samples, provenance
from tinct.photo.candidates import Candidates
from tinct.photo.colouring import full_size
from tinct.photo.runs import Extra, Result

TOP = 40.0  # levels; the brightest colour of the map: one scale for all photographs, so that their maps compare
MAP_SIDE, CELL_SIDE = 2048, 400  # px at most, of the map and of a picture on the sheet


def result(found: Candidates, model: str, seed: int) -> Result:
    """The most typical candidate, and beside it every one, their sheet and the map. What the manifest says counts from 1."""
    chosen = found.frames(found.representative)
    note = provenance(__version__, model, seed)
    drawing = Picture("", (found.picture.gray,))  # a drawing has no metadata but its note
    extras = [_candidate(found, index, model, chosen) for index in range(len(found))]
    extras.append(Extra("sheet", lambda: [sheet(found)], drawing, f"{note}, {len(found)} candidates", ".png"))
    scale = f"{note}, where {len(found)} candidates differ: black 0, bright yellow {TOP:g} levels of chroma or more"
    extras.append(Extra("uncertainty", lambda: [uncertainty_map(found)], drawing, scale, ".png"))
    facts = {"representative": found.representative + 1, "seeds": found.seeds}
    return Result(chosen, found.notes, extras, facts)


def _candidate(found: Candidates, index: int, model: str, chosen: list[Samples]) -> Extra:
    make = partial(found.frames, index) if index != found.representative else lambda: chosen
    note = provenance(__version__, model, found.seeds[index])
    return Extra(f"candidate-{index + 1}", make, found.picture, note)


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
