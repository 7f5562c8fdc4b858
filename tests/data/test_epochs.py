"""Which epoch a batch is of, however Keras and loops go through the data."""

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tf_splitting.data.epochs import Epoch, Epochs
from tf_splitting.training.feeds import as_feed


def numbered(steps: int, first: int = 0) -> Epochs:
    """Epochs whose batch b in epoch e is (e, b)."""
    return Epochs(lambda e: Epoch(lambda b: (e, b), steps), steps, first)


def whole(epoch: int, steps: int) -> list[tuple[int, int]]:
    return [(epoch, batch) for batch in range(steps)]


def test_loops():
    epoch = Epoch(lambda batch: batch, 3)
    assert [list(epoch), list(epoch)] == [[0, 1, 2]] * 2
    assert next(iter(epoch)) == 0
    data = numbered(3, first=5)
    assert list(data) == whole(5, 3)
    assert next(iter(data)) == (6, 0)
    one, other = iter(data), iter(data)
    assert [next(one), next(other), next(one)] == [(7, 0), (8, 0), (7, 1)]
    assert (len(data), data.num_batches) == (3, 3)


def test_there_is_nothing_beyond_the_end():
    for data in (Epoch(lambda batch: batch, 3), numbered(3)):
        for index in (-1, 3):
            with pytest.raises(IndexError, match="expected one of 3"):
                data[index]


def keras_pass(data: Epochs, order: Sequence[int]) -> list[tuple[int, int]]:
    """Batches in an order, as Keras' trainers read an epoch or a piece of one."""
    data.on_epoch_begin()
    batches = [data[index] for index in order]
    data.on_epoch_end()
    return batches


def test_a_look_at_a_batch_is_no_epoch():
    for look in range(3):
        for order in itertools.permutations(range(3)):
            data = numbered(3)
            data.on_epoch_end()  # Keras begins with it.
            assert keras_pass(data, [look]) == [(0, look)]
            data.on_epoch_end()
            for epoch in range(3):
                expected = [(epoch, index) for index in order]
                assert keras_pass(data, order) == expected


def test_an_epoch_that_stopped_early_begins_again():
    data = numbered(3)
    assert keras_pass(data, [0, 1]) == whole(0, 2)
    for epoch in range(2):
        assert keras_pass(data, range(3)) == whole(epoch, 3)


def test_epochs_in_pieces_go_on():
    data = numbered(4)
    data.on_epoch_end()
    assert keras_pass(data, [0]) == [(0, 0)]  # Keras looks.
    data.on_epoch_end()
    for epoch in range(3):
        for piece in ([0, 1], [2, 3]):
            assert keras_pass(data, piece) == [(epoch, index) for index in piece]


def test_batches_of_the_next_epoch_may_be_asked_for_before_the_end():
    data = numbered(2)
    assert [data[k] for k in (0, 1, 0)] == [(0, 0), (0, 1), (1, 0)]
    data.on_epoch_end()
    data.on_epoch_begin()
    assert data[1] == (1, 1)
    data.on_epoch_end()
    assert data[0] == (2, 0)


def test_the_number_can_be_told():
    data = numbered(1)
    assert data[0] == (0, 0)
    data.begin(0)
    assert data[0] == (0, 0)
    data.begin(1)
    assert data[0] == (1, 0)
    assert data[0] == (2, 0)
    data.begin(7)
    assert [data[0], data[0]] == [(7, 0), (8, 0)]


class Told:
    """An `EpochSource` of one batch."""

    steps = 1

    def epoch_dataset(self, epoch, first_batch=0):
        return Epoch(lambda batch: (epoch, first_batch + batch), 1 - first_batch)

    def epochs(self, first=0):
        return numbered(1, first)


def test_a_feed_tells_the_number():
    feed = as_feed(Told())
    data = feed.epochs(4)["x"]
    assert data[0] == (4, 0)  # Keras builds metrics.
    for epoch in (4, 5, 6):
        feed.begin(epoch)
        assert data[0] == (epoch, 0)
    assert list(feed.rest(3, 0)) == [(3, 0)]


def test_threads_share_an_epoch():
    """As Keras' workers, of which a user may ask for several."""
    data = numbered(40)
    with ThreadPoolExecutor(4) as threads:
        for epoch in range(3):
            batches = list(threads.map(data.__getitem__, range(40)))
            assert batches == whole(epoch, 40)
