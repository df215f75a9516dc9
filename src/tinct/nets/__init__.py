"""Networks: pure nn.Modules. Importing the package registers the denoisers and the painters."""

from tinct.nets.base import DENOISERS, PAINTERS, Denoiser, Painter
from tinct.registry import discover

discover(__name__)

__all__ = ["DENOISERS", "PAINTERS", "Denoiser", "Painter"]
