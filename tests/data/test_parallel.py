"""Tasks over several processes: in order, bounded, and clear when a process dies."""

import os
import signal
import time

import pytest

from tinct.data.parallel import in_order
from tinct.errors import DataError


def slow(number: int) -> tuple[int, int]:
    """For the pool: takes as long as it is told, and says where it ran."""
    time.sleep(0.02 if number == 0 else 0)
    return number, os.getpid()


def fall(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_results_come_in_order_from_several_processes():
    results = list(in_order(slow, range(40), 2))
    assert [number for number, _ in results] == list(range(40))
    assert os.getpid() not in {process for _, process in results}
    assert {process for _, process in in_order(slow, range(3), 1)} == {os.getpid()}


def test_no_more_tasks_are_taken_than_can_be_held():
    taken = []
    results = in_order(slow, (taken.append(number) or number for number in range(1000)), 2)
    next(results)
    assert len(taken) <= 4
    results.close()


def test_a_worker_that_dies_is_an_error_with_a_cure():
    with pytest.raises(DataError, match="--processes 1"):
        list(in_order(fall, range(4), 2))
