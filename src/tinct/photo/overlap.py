"""Decoding ahead and encoding behind, in threads, while the model works here: at most so much in memory at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from tinct.threads import alone

Task = TypeVar("Task")
Decoded = TypeVar("Decoded")
Made = TypeVar("Made")
Result = TypeVar("Result")


def overlapped(
    tasks: Iterable[Task],
    decode: Callable[[Task], Decoded],
    make: Callable[[Decoded], Made],
    encode: Callable[[Made], Result],
    *,
    workers: int,
    cost: Callable[[Task], float],
    room: float,
) -> Iterator[Result]:
    """encode(make(decode(task))) of every task, in their order. `make` runs here and in order; 0 workers do all of it here.

    Tasks under way cost `room` together at most; one that costs more goes alone. What a function raises is raised here.
    When the iteration is broken off, what `make` has given is encoded still.
    """
    pool = alone(workers, "photographs") if workers else _Here()
    ahead: deque[tuple[float, Future[Decoded]]] = deque()
    behind: deque[tuple[float, Future[Result]]] = deque()
    todo = ((cost(task), task) for task in tasks)
    following = next(todo, None)
    try:
        while True:
            while behind and behind[0][1].done():
                yield behind.popleft()[1].result()
            while following and len(ahead) <= workers and _fits(following[0], [*ahead, *behind], room):
                ahead.append((following[0], pool.submit(decode, following[1])))
                following = next(todo, None)
            if ahead and len(behind) <= workers:
                price, decoded = ahead.popleft()
                behind.append((price, pool.submit(encode, make(decoded.result()))))
            elif behind:
                yield behind.popleft()[1].result()
            else:
                return
    finally:
        for _, waiting in ahead:
            waiting.cancel()
        pool.shutdown()


def _fits(price: float, under_way: list[tuple[float, Any]], room: float) -> bool:
    return not under_way or price + sum(other for other, _ in under_way) <= room


class _Here(Executor):
    """Does what it is given at once, in the caller's thread."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **options))
        except Exception as error:
            future.set_exception(error)
        return future
