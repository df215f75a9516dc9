"""A model on pictures, beside the baselines that need no model: a table of metrics with intervals; and models compared."""

from tinct.evaluation.comparison import Comparison, Entrant, compare
from tinct.evaluation.measuring import Measured, batches, evaluate
from tinct.evaluation.report import csv_rows, heading, markdown, picture_rows, remarks, seconds
from tinct.evaluation.table import BASELINES, Cell, Protocol, Row, Table, bootstrap, shown

__all__ = [
    "BASELINES", "Cell", "Comparison", "Entrant", "Measured", "Protocol", "Row", "Table", "batches", "bootstrap", "compare",
    "csv_rows", "evaluate", "heading", "markdown", "picture_rows", "remarks", "seconds", "shown",
]  # fmt: skip
