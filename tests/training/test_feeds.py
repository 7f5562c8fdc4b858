"""Epochs of any length go on through the data, of whatever kind, from anywhere on."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiers

from tf_splitting import data
from tf_splitting.data.epochs import Epoch
from tf_splitting.support import Placement
from tf_splitting.training import Divided, Watched, as_feed

SIZE, BATCH, TOTAL = 22, 4, 6


def numbers():
    return np.arange(SIZE, dtype="float32")[:, None], np.zeros((SIZE, 1), "float32")


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return TOTAL

    def __getitem__(self, index):
        rows = slice(index * BATCH, (index + 1) * BATCH)
        return tuple(array[rows] for array in numbers())


def stream():
    return tf.data.Dataset.from_tensor_slices(numbers()).batch(BATCH)


class Source:
    """An `EpochSource`; batches are `(epoch, index)` or, in time, those of `stream`."""

    steps = TOTAL

    def __init__(self, made):
        self._made = made

    def epoch_dataset(self, epoch, first_batch=0):
        return self._made(epoch, first_batch)

    def epochs(self, first=0):
        raise AssertionError("laid out in batches, epochs are asked for one by one")


def of_tf_data(epoch, first_batch):
    return stream().map(lambda x, y: (x + 100 * epoch, y)).skip(first_batch)


def of_py_datasets(epoch, first_batch):
    x, y = numbers()
    parts = [
        (x[k : k + BATCH] + 100 * epoch, y[k : k + BATCH])
        for k in range(0, SIZE, BATCH)
    ]
    return Epoch(lambda index: parts[first_batch + index], TOTAL - first_batch)


def of_lists(epoch, first_batch):
    x, y = numbers()
    parts = [
        (x[k : k + BATCH] + 100 * epoch, y[k : k + BATCH])
        for k in range(0, SIZE, BATCH)
    ]
    return parts[first_batch:]


KINDS = {
    "arrays": numbers,
    "PyDataset": Sequence,
    "tf.data": stream,
    "epochs of tf.data": lambda: Source(of_tf_data),
    "epochs of PyDatasets": lambda: Source(of_py_datasets),
    "epochs of lists": lambda: Source(of_lists),
    "images": lambda: data.load(
        "fashion_mnist_small", train_limit=SIZE, batch_size=BATCH, augment=True
    ),
}


def read(batches, count=None):
    """What the batches hold, each as bytes."""
    if isinstance(batches, keras.utils.PyDataset):
        sequence = batches
        batches = (sequence[index] for index in range(sequence.num_batches))
    batches = itertools.islice(batches, count)
    return [np.asarray(batch[0]).tobytes() for batch in batches]


def epoch_of(feed, epoch):
    feed.begin(epoch)
    whole = feed.epochs(epoch)
    return read(feed.rest(epoch, 0) if whole is None else whole["x"])


def passes(dataset, count):
    """Batches of whole passes, as a feed that is not laid out gives them."""
    feed = as_feed(dataset, batch_size=BATCH, seed=3)
    found = []
    for number in range(count):
        feed.begin(number)
        found += read(feed.rest(number, 0))
    return found


def wrapped(dataset):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    feed = as_feed(dataset, batch_size=BATCH, seed=3)
    return Divided(Watched(feed, model, Placement()), Placement())


@pytest.mark.parametrize("make", [as_feed, wrapped], ids=["bare", "wrapped"])
@pytest.mark.parametrize("kind", tiers.some(KINDS, ["arrays", "PyDataset", "tf.data"]))
def test_epochs_as_laid_go_on_through_the_data(kind, make):
    if make is as_feed:
        feed = as_feed(KINDS[kind](), batch_size=BATCH, seed=3)
    elif kind == "images":
        pytest.skip("the model takes numbers")
    else:
        feed = wrapped(KINDS[kind]())
    expected = passes(KINDS[kind](), 4)
    assert feed.total == feed.steps == TOTAL
    # Phases: the first epoch, how many, batches in each.
    position = 0
    for first, count, steps in ((0, 2, 4), (2, 1, 1), (3, 2, 5)):
        feed.lay(first, position, steps)
        assert feed.steps == steps
        for epoch in range(first, first + count):
            start = position + (epoch - first) * steps
            assert feed.position(epoch) == start
            mine = expected[start : start + steps]
            assert epoch_of(feed, epoch) == mine
            assert read(feed.rest(epoch, steps // 2)) == mine[steps // 2 :]
            assert feed.rest(epoch, steps) is None
        position += count * steps


def test_a_stream_without_end_gives_any_number_of_steps():
    feed = as_feed(stream().repeat(), steps=5)
    assert feed.total == 5
    feed.lay(0, 0, 3)
    assert feed.epochs(0)["steps_per_epoch"] == 3
    assert len(read(feed.rest(0, 1))) == 2


def test_rows_of_a_batch():
    assert as_feed(numbers(), batch_size=BATCH).rows == SIZE / TOTAL
    assert as_feed(KINDS["images"]()).rows == SIZE / TOTAL
    assert as_feed(Sequence()).rows is None


def test_a_stream_of_unknown_length_says_so():
    feed = as_feed(stream().filter(lambda x, y: True))
    assert feed.total is None
    assert feed.position(0) == 0
    assert feed.position(1) is None
