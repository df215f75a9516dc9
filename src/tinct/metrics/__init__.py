"""Metrics over 8-bit pictures, one number per picture. Importing the package registers them all."""

from tinct.metrics.base import METRICS, Measure, Metric, Prepared, metric, prepare
from tinct.registry import discover

discover(__name__)

__all__ = ["METRICS", "Measure", "Metric", "Prepared", "metric", "prepare"]
