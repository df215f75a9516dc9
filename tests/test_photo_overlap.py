"""Decoding and encoding overlap with the model: in order, within the room there is, and what was made is not lost."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinct.photo.overlap import overlapped


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 9), max_size=12), st.integers(0, 4), st.integers(1, 12))
def test_all_is_done_in_order_within_the_room(costs: list[int], workers: int, room: int) -> None:
    under_way: dict[int, int] = {}
    largest, makers, lock = [0], set(), threading.Lock()

    def decode(index: int) -> int:
        with lock:
            under_way[index] = costs[index]
            alone = len(under_way) == 1
            largest[0] = max(largest[0], 0 if alone else sum(under_way.values()))
        return index

    def make(index: int) -> int:
        makers.add(threading.get_ident())
        return 10 * index

    def encode(index: int) -> str:
        with lock:
            del under_way[index // 10]
        return str(index)

    records = overlapped(
        range(len(costs)), decode, make, encode, workers=workers, cost=costs.__getitem__, room=room
    )  # fmt: skip
    assert list(records) == [str(10 * index) for index in range(len(costs))]
    assert largest[0] <= room
    assert makers <= {threading.get_ident()}
    assert not under_way


def test_the_next_is_decoded_while_one_is_made() -> None:
    begun = threading.Event()

    def decode(index: int) -> int:
        if index == 1:
            begun.set()
        return index

    def make(index: int) -> bool:
        return index > 0 or begun.wait(30)  # of the first, only once the second is being decoded

    records = overlapped(range(2), decode, make, lambda made: made, workers=1, cost=lambda _: 1, room=9)
    assert list(records) == [True, True]


def test_without_workers_one_follows_the_other() -> None:
    steps = []

    def step(name: str):  # type: ignore[no-untyped-def]
        return lambda item: steps.append(f"{name}{item}") or item

    results = overlapped(range(2), step("decode"), step("make"), step("encode"), workers=0, cost=lambda _: 1, room=9)
    steps.extend(f"got{result}" for result in results)
    assert steps == [f"{what}{index}" for index in range(2) for what in ("decode", "make", "encode", "got")]


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("where", ["decode", "make", "encode"])
def test_what_is_raised_anywhere_is_raised_here(workers: int, where: str) -> None:
    def step(name: str):  # type: ignore[no-untyped-def]
        def function(index: int) -> int:
            if name == where and index == 2:
                raise ZeroDivisionError
            return index

        return function

    records = overlapped(
        range(5), step("decode"), step("make"), step("encode"), workers=workers, cost=lambda _: 1, room=9
    )
    with pytest.raises(ZeroDivisionError):
        list(records)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("photographs")]


@pytest.mark.parametrize("workers", [1, 3])
def test_broken_off_what_was_made_is_encoded(workers: int) -> None:
    made, encoded = [], []

    def make(index: int) -> int:
        if index == 4:
            raise KeyboardInterrupt
        made.append(index)
        return index

    def encode(index: int) -> None:
        time.sleep(0.02)
        encoded.append(index)

    records = overlapped(range(9), lambda index: index, make, encode, workers=workers, cost=lambda _: 1, room=99)
    with pytest.raises(KeyboardInterrupt):
        list(records)
    assert sorted(encoded) == made == [0, 1, 2, 3]
