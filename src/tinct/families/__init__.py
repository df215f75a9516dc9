"""Model families: method x backbone. Importing the package registers them all."""

from tinct.diffusion.noise import generators_for
from tinct.families.base import FAMILIES, Batch, Colorizer, Comparing, Family, Objective, comparing
from tinct.registry import discover

discover(__name__)

__all__ = ["FAMILIES", "Batch", "Colorizer", "Comparing", "Family", "Objective", "comparing", "generators_for"]
