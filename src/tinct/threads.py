"""How torch's work on a CPU is shared among its cores: a small piece on one thread, several pieces side by side.

Threads that share an operation wait for each other at its end, and a small network is hundreds of operations of some
microseconds: two threads then take longer than one, much longer where another program wants the cores too.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

_MOST = 8  # threads that work side by side: each holds memory of its own


def alone(count: int, name: str) -> ThreadPoolExecutor:
    """A pool of threads, each of which does torch's work by itself; torch's number of threads stays what it is elsewhere.

    They are started at once: what a thread of its own sets is in part everybody's, until the caller sets it back here.
    """
    threads, settled = torch.get_num_threads(), threading.Barrier(count + 1)

    def settle() -> None:
        torch.get_num_threads()  # a thread that first asks later would then take everybody's
        torch.set_num_threads(1)
        settled.wait()

    pool = ThreadPoolExecutor(count, name)
    try:
        for _ in range(count):
            pool.submit(settle)
    except BaseException:  # the system has no thread left
        settled.abort()
        raise
    settled.wait()
    torch.set_num_threads(threads)
    return pool


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """The process's own."""
    return alone(min(_MOST, torch.get_num_threads()), "alone")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of its parent's threads


def on_one(function: Callable[[], R]) -> R:
    """What the function gives, its work done by one thread."""
    return function() if torch.get_num_threads() == 1 else _pool().submit(function).result()


def side_by_side(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """What the function gives for each item, several at once, each by one thread; by a thread that works alone, in turn."""
    todo = list(items)
    if len(todo) < 2 or torch.get_num_threads() == 1:
        return [function(item) for item in todo]
    return list(_pool().map(function, todo))
