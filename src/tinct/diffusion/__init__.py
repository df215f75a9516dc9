"""Diffusion from scratch: levels (schedules, ladders), process (forward, targets), samplers. Importing it registers them all."""

from tinct.diffusion.levels import SCHEDULES, SPACINGS, Schedule, ladder
from tinct.diffusion.process import TARGETS, diffuse
from tinct.diffusion.samplers import SAMPLERS, Step, evaluations, own_spacing, sampler_options
from tinct.level import CLEAN, Level
from tinct.registry import discover

discover(__name__)

__all__ = [
    "CLEAN",
    "SAMPLERS",
    "SCHEDULES",
    "SPACINGS",
    "TARGETS",
    "Level",
    "Schedule",
    "Step",
    "diffuse",
    "evaluations",
    "ladder",
    "own_spacing",
    "sampler_options",
]
