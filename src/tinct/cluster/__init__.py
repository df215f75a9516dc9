"""Photographs on several machines, or several processes of one, through Ray."""

from tinct.cluster.runs import run

__all__ = ["run"]
