"""Stratified splits by largest remainder."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tinct.data.split import allot, stratified

counts = st.lists(st.integers(1, 40), min_size=1, max_size=12)
percents = st.integers(0, 100)


@given(counts, percents)
def test_the_total_is_exact_and_every_class_gives_its_share(counts, percent):
    aside = allot(counts, percent / 100)
    wanted = math.ceil(Fraction(sum(counts) * percent, 100))
    if percent == 100:
        assert aside == counts
        return
    assert sum(aside) == min(wanted, sum(count - 1 for count in counts))
    assert all(0 <= number < count for number, count in zip(aside, counts, strict=True))
    if all(count * percent / 100 <= count - 1 for count in counts):
        assert all(abs(number - count * percent / 100) < 1 for number, count in zip(aside, counts, strict=True))


@given(counts)
def test_a_class_of_one_stays(counts):
    aside = allot([*counts, 1], 0.9)
    assert aside[-1] == 0


def test_known_shares():
    assert allot([280] * 200, 0.2) == [56] * 200
    assert allot([3, 3, 3], 0.2) == [1, 1, 0]  # ceil(1.8) = 2
    assert allot([10, 5, 1], 0.5) == [5, 3, 0]
    assert allot([30], 0.1) == [3]  # 30 * 0.1 is a little more than 3 in binary
    assert allot([5, 5], 0) == [0, 0]
    assert allot([], 0.5) == []


@given(counts, percents, st.integers(0, 2**31))
def test_a_split_is_a_partition_that_repeats(counts, percent, seed):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    stay, aside = stratified(labels, percent / 100, seed)
    assert sorted([*stay, *aside]) == list(range(len(labels)))
    again = stratified(labels, percent / 100, seed)
    assert np.array_equal(stay, again[0])
    assert np.array_equal(aside, again[1])
    assert np.bincount(labels[aside], minlength=len(counts)).tolist() == allot(counts, percent / 100)


def test_another_seed_is_another_split():
    labels = np.repeat(np.arange(4), 25)
    assert not np.array_equal(stratified(labels, 0.2, 1)[1], stratified(labels, 0.2, 2)[1])


def test_known_split():
    """The split is part of what a seed promises: it must not change from version to version."""
    assert stratified(np.repeat([0, 1], 5), 0.4, 42)[1].tolist() == [2, 5, 8, 4]
