"""Tests that stand for a displayed formula of docs/theory.md say which: `test_theory` finds their decorators."""

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., None])


def formula(*written: str) -> Callable[[F], F]:
    """Decorator: the test checks these, as they are written there."""
    return lambda test: test
