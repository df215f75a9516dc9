"""Where the time goes on this machine: the stages of a colouring and of a training step, beside the machine's own limits."""

from tinct.bench.colouring import colouring
from tinct.bench.limits import Limits, measured
from tinct.bench.records import Limit, Stage, Table
from tinct.bench.training import training

__all__ = ["Limit", "Limits", "Stage", "Table", "colouring", "measured", "training"]
