"""Photographs in colour at full resolution: one, many, or a folder tree."""

from tinct.photo.candidates import Candidates, candidates
from tinct.photo.colouring import PhotoOptions, colour, colour_batch
from tinct.photo.jobs import Job, Plan, plan
from tinct.photo.runs import DONE_BEFORE, Done, Extra, Failed, Planned, Record, Result, Skipped, Work, run
from tinct.photo.states import Canvas, kept, walk
from tinct.photo.work import coloured, coloured_image, colouring, graying

__all__ = [
    "DONE_BEFORE",
    "Candidates",
    "Canvas",
    "Done",
    "Extra",
    "Failed",
    "Job",
    "PhotoOptions",
    "Plan",
    "Planned",
    "Record",
    "Result",
    "Skipped",
    "Work",
    "candidates",
    "colour",
    "colour_batch",
    "coloured",
    "coloured_image",
    "colouring",
    "graying",
    "kept",
    "plan",
    "run",
    "walk",
]
