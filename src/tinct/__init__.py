"""tinct: colour for grayscale photographs by diffusion."""

__version__ = "0.1.0"
