"""Photographs: decoding to upright luma with all that must survive, and encoding again."""

from tinct.images.metadata import is_synthetic, provenance
from tinct.images.picture import Picture, Samples
from tinct.images.reading import MAX_MEGAPIXELS, probe, read, read_rgb
from tinct.images.writing import FORMATS, target, write

__all__ = [
    "FORMATS",
    "MAX_MEGAPIXELS",
    "Picture",
    "Samples",
    "is_synthetic",
    "probe",
    "provenance",
    "read",
    "read_rgb",
    "target",
    "write",
]
