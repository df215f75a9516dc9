"""Pictures for people: sheets, curves, the diffusion process. Every file appears whole or not at all."""

from tinct.figures.candidates import candidate_sheet, heat
from tinct.figures.curves import compared_curves, loss_curve
from tinct.figures.paper import Rgb
from tinct.figures.process import Strip, animation, strips
from tinct.figures.schedules import schedules
from tinct.figures.sheets import before_after, grid, reduced, sheet
from tinct.figures.speed import Curves, speed_and_quality

__all__ = [
    "Curves",
    "Rgb",
    "Strip",
    "animation",
    "before_after",
    "candidate_sheet",
    "compared_curves",
    "grid",
    "heat",
    "loss_curve",
    "reduced",
    "schedules",
    "sheet",
    "speed_and_quality",
    "strips",
]
