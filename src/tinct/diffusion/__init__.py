"""Diffusion from scratch: levels (schedules, ladders), process (forward, targets), samplers."""

from tinct.diffusion.levels import CLEAN, SCHEDULES, SPACINGS, Level, Schedule, ladder
from tinct.diffusion.process import TARGETS, diffuse
from tinct.diffusion.samplers import SAMPLERS, Step, sampler_options

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
    "ladder",
    "sampler_options",
]
