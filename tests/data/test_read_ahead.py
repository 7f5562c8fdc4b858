"""Reading ahead changes when batches are made, never which."""

import threading
import time

import numpy as np
import pytest

from tf_splitting.data.read_ahead import AHEAD, ReadAhead


class Made:
    """Makes item k of k, slowly for some, and remembers which."""

    def __init__(self):
        self.seen = []

    def __call__(self, index):
        self.seen.append(index)
        time.sleep(0.003 * (index % 3))
        return index


def test_items_are_those_asked_for_in_any_order():
    order = np.random.default_rng(0).integers(0, 20, 60).tolist()
    items = ReadAhead(Made(), 20)
    for asked in (range(20), order, [0, 0, 1, 2, 0, 1], reversed(range(20))):
        asked = list(asked)
        assert [items[k] for k in asked] == asked


def test_each_is_made_once_and_none_beyond_the_end():
    made = Made()
    items = ReadAhead(made, 7)
    assert [items[k] for k in range(7)] == list(range(7))
    assert sorted(made.seen) == list(range(7))


def test_the_next_ones_are_made_while_one_is_used():
    arrived = threading.Barrier(AHEAD + 1, timeout=10)

    def make(index):
        if index:
            arrived.wait()
        return index

    items = ReadAhead(make, AHEAD + 1)
    assert items[0] == 0
    # Returns only once all that follow are being made, and nobody has asked for them.
    arrived.wait()
    assert items[1] == 1


def test_nothing_is_made_ahead_of_random_reads():
    made = Made()
    items = ReadAhead(made, 20)
    assert [items[k] for k in (7, 3, 11, 5)] == [7, 3, 11, 5]
    assert made.seen == [7, 3, 11, 5]


def test_errors_reach_whoever_asks():
    def make(index):
        if index == 2:
            raise ValueError("broken")
        return index

    items = ReadAhead(make, 4)
    assert [items[0], items[1]] == [0, 1]
    with pytest.raises(ValueError, match="broken"):
        items[2]
    assert items[3] == 3
