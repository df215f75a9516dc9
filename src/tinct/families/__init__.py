"""Model families: method x backbone. Importing the package registers them all."""

from tinct.families.base import FAMILIES, Batch, Colorizer, Family, Objective, generators_for
from tinct.registry import discover

discover(__name__)

__all__ = ["FAMILIES", "Batch", "Colorizer", "Family", "Objective", "generators_for"]
