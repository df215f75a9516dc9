"""Model families: method x backbone. Importing the package registers them all."""

from tinct.diffusion.noise import generators_for
from tinct.families.base import (
    FAMILIES,
    Batch,
    Classifier,
    Colorizer,
    Comparing,
    Diffusing,
    Family,
    Model,
    Objective,
    PictureGenerator,
    comparing,
)
from tinct.families.diffusion import COARSE_CELLS, FEW, HARDLY_SEEN
from tinct.families.sampling import (
    ColouringOptions,
    SamplingOptions,
    chosen_sampling,
    sampling_options,
    takes_hints,
    takes_reference,
)
from tinct.registry import discover

discover(__name__)

__all__ = [
    "COARSE_CELLS",
    "FAMILIES",
    "FEW",
    "HARDLY_SEEN",
    "Batch",
    "Classifier",
    "Colorizer",
    "ColouringOptions",
    "Comparing",
    "Diffusing",
    "Family",
    "Model",
    "Objective",
    "PictureGenerator",
    "SamplingOptions",
    "chosen_sampling",
    "comparing",
    "generators_for",
    "sampling_options",
    "takes_hints",
    "takes_reference",
]
