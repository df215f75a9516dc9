"""Networks: pure nn.Modules. Importing the package registers the denoisers."""

from tinct.nets.base import DENOISERS, Denoiser
from tinct.registry import discover

discover(__name__)

__all__ = ["DENOISERS", "Denoiser"]
