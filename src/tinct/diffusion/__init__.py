"""Diffusion from scratch: levels (schedules, ladders), process (forward, targets), samplers."""

from tinct.diffusion.levels import SCHEDULES, SPACINGS, Schedule, ladder
from tinct.diffusion.process import TARGETS, diffuse
from tinct.diffusion.samplers import SAMPLERS, Step, sampler_options
from tinct.level import CLEAN, Level

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
