"""Photographs in colour at full resolution: one, many, or a folder tree."""

from tinct.photo.candidates import Candidates, candidates
from tinct.photo.colouring import PhotoOptions, colour, colour_batch, honest
from tinct.photo.hinted import colour_hinted
from tinct.photo.hints import Hint, Hints, hint, hints_in_file, mask_of
from tinct.photo.jobs import Job, Plan, plan
from tinct.photo.records import DONE_BEFORE, Done, Extra, Failed, Planned, Record, Result, Skipped, Work
from tinct.photo.reference import Reference, ReferenceOptions, reference_of, towards
from tinct.photo.runs import run
from tinct.photo.states import Canvas, kept, walk
from tinct.photo.work import coloured, coloured_image, colouring, graying

__all__ = [
    "DONE_BEFORE",
    "Candidates",
    "Canvas",
    "Done",
    "Extra",
    "Failed",
    "Hint",
    "Hints",
    "Job",
    "PhotoOptions",
    "Plan",
    "Planned",
    "Record",
    "Reference",
    "ReferenceOptions",
    "Result",
    "Skipped",
    "Work",
    "candidates",
    "colour",
    "colour_batch",
    "colour_hinted",
    "coloured",
    "coloured_image",
    "colouring",
    "graying",
    "hint",
    "hints_in_file",
    "honest",
    "kept",
    "mask_of",
    "plan",
    "reference_of",
    "run",
    "towards",
    "walk",
]
