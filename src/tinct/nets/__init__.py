"""Networks: pure nn.Modules. Importing the package registers the denoisers, painters and recognizers."""

from tinct.nets.base import DENOISERS, PAINTERS, RECOGNIZERS, Denoiser, Painter, Recognizer
from tinct.registry import discover

discover(__name__)

__all__ = ["DENOISERS", "PAINTERS", "RECOGNIZERS", "Denoiser", "Painter", "Recognizer"]
