"""Metrics over 8-bit pictures: a number per picture, or of whole sets. Importing the package registers them all."""

from tinct.metrics.base import METRICS, Measure, Metric, metric
from tinct.metrics.diversity import Diversity, diversities
from tinct.metrics.preparing import LARGEST_UNASKED, Prepared, prepare, usual
from tinct.metrics.sets import SET_METRICS, SetMeasure, SetMetric
from tinct.registry import discover

discover(__name__)

__all__ = [
    "LARGEST_UNASKED", "METRICS", "SET_METRICS", "Diversity", "Measure", "Metric", "Prepared", "SetMeasure",
    "SetMetric", "diversities", "metric", "prepare", "usual",
]  # fmt: skip
