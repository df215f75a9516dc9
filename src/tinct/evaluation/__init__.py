"""A model on pictures, beside the baselines that need no model: a table of metrics with intervals."""

from tinct.evaluation.measuring import Measured, batches, evaluate, spread
from tinct.evaluation.report import csv_rows, heading, markdown, picture_rows, remarks, seconds
from tinct.evaluation.table import Cell, Protocol, Row, Table, bootstrap, shown

__all__ = [
    "Cell", "Measured", "Protocol", "Row", "Table", "batches", "bootstrap", "csv_rows", "evaluate", "heading",
    "markdown", "picture_rows", "remarks", "seconds", "shown", "spread",
]  # fmt: skip
