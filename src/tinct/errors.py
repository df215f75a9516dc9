"""The error tree: everything a user can cause is a TinctError whose message names what is wrong and the cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TinctError(Exception):
    """Base of all errors that a user can cause and mend. The command line prints the message and exits with 1."""


class ConfigError(TinctError):
    """An option, a recipe or a value that does not exist or is out of range."""


class UnknownName(ConfigError):
    """A name that nothing is registered under."""


class DataError(TinctError):
    """A dataset, archive or NPZ that is missing, damaged or of the wrong shape."""


class PictureError(DataError):
    """One picture that can't be read."""


class WeightsError(TinctError):
    """Weights or a checkpoint that are missing, damaged or made for something else."""


class OutputError(TinctError):
    """A place that can't be written to, or that holds something which must not be lost."""


class DiskFull(OutputError):
    """No room is left where results go: nothing further can be written there either."""


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name most like `name`, if one is similar enough to have been meant."""
    matches = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.5)
    return matches[0] if matches else None


def unknown(kind: str, name: str, allowed: Iterable[str]) -> UnknownName:
    """The error for a name that does not exist: says what was got, the nearest match, and what there is."""
    allowed = sorted(allowed)
    match = nearest(name, allowed)
    hint = f" Did you mean '{match}'?" if match else ""
    return UnknownName(f"unknown {kind} '{name}'.{hint} Available: {', '.join(allowed) or 'none'}")
