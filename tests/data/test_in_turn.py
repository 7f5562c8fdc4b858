"""Batches of an iterator, by index."""

import pytest

from tf_splitting.data.in_turn import InTurn

LENGTH = 5


@pytest.fixture
def counted():
    """Batches that are their index, and how often they were read from the start."""
    opened = []

    def numbers():
        opened.append(True)
        yield from range(LENGTH)

    return InTurn(numbers, LENGTH), opened


def test_in_order_everything_is_read_once(counted):
    batches, opened = counted
    # Keras looks at the first ones before it begins.
    assert [batches[0], batches[1]] == [0, 1]
    assert [batches[k] for k in range(LENGTH)] == list(range(LENGTH))
    assert len(opened) == 1


def test_any_order_gives_the_same(counted):
    batches, opened = counted
    assert [batches[k] for k in (3, 2, 4, 0, 3)] == [3, 2, 4, 0, 3]
    assert len(opened) == 3
    assert [batches[k] for k in range(LENGTH)] == list(range(LENGTH))


def test_what_there_is_no_batch_for(counted):
    with pytest.raises(IndexError, match="Got batch 5"):
        counted[0][LENGTH]
