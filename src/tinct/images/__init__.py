"""Photographs: decoding to upright luma with all that must survive, and encoding again."""

from tinct.images.kinds import FORMATS, checked_format, kind_of, suffixed
from tinct.images.metadata import is_synthetic, provenance
from tinct.images.picture import Picture, Samples
from tinct.images.reading import MAX_MEGAPIXELS, probe, read, read_rgb, read_rgba, weighed
from tinct.images.writing import target, write

__all__ = [
    "FORMATS",
    "MAX_MEGAPIXELS",
    "Picture",
    "Samples",
    "checked_format",
    "is_synthetic",
    "kind_of",
    "probe",
    "provenance",
    "read",
    "read_rgb",
    "read_rgba",
    "suffixed",
    "target",
    "weighed",
    "write",
]
