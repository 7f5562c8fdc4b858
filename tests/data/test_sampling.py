"""Samples of all kinds of data sets."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_splitting.data import sampling
from tf_splitting.data.sampling import Batch, Sample, draw_sample, weighted_by_class
from tf_splitting.errors import DataError

X = np.arange(40.0).reshape(20, 2)
Y = np.arange(20)


def rows(sample):
    return np.concatenate([batch.y for batch in sample.batches])


def test_arrays_are_drawn_at_random_and_pairs_stay_together():
    sample = draw_sample((X, Y), size=10, batch_size=4, seed=1)
    assert [batch.size for batch in sample.batches] == [4, 4, 2]
    drawn = rows(sample)
    assert len(set(drawn)) == 10
    assert not np.array_equal(drawn, np.sort(drawn))
    for batch in sample.batches:
        np.testing.assert_array_equal(batch.x, X[batch.y])
        assert batch.sample_weight is None
    np.testing.assert_array_equal(rows(draw_sample((X, Y), size=10, seed=1)), drawn)
    other = rows(draw_sample((X, Y), size=10, seed=2))
    assert not np.array_equal(other, drawn)


def test_no_more_than_there_is():
    assert draw_sample((X, Y), size=99).size == 20


def test_sample_weights_follow_their_rows():
    sample = draw_sample((X, Y, 10.0 * Y), size=7, batch_size=3)
    for batch in sample.batches:
        np.testing.assert_array_equal(batch.sample_weight, 10.0 * batch.y)


def test_several_inputs():
    sample = draw_sample(({"a": X, "b": -X}, Y), size=6)
    batch = sample.batches[0]
    np.testing.assert_array_equal(batch.x["b"], -X[batch.y])


class Stream:
    """An endless iterable of the rows in order, that counts what is read of it."""

    def __init__(self):
        self.read = 0

    def __iter__(self):
        while True:
            rows = slice(4 * (self.read % 5), 4 * (self.read % 5) + 4)
            self.read += 1
            yield X[rows], Y[rows]


def sorted_stream(count=1000, batch=16):
    """Batches sorted by class, a tenth of them each."""
    y = np.repeat(np.arange(10), count // 10)
    x = np.arange(count, dtype=float)[:, None]
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(batch)


def test_a_sorted_stream_is_sampled_fairly():
    counts = np.zeros((30, 1000))
    for seed in range(30):
        sample = draw_sample(sorted_stream(), size=200, seed=seed)
        assert [batch.size for batch in sample.batches] == [16] * 12 + [8]
        drawn = np.concatenate([batch.x[:, 0] for batch in sample.batches])
        assert len(set(drawn)) == 200
        np.testing.assert_array_equal(drawn // 100, rows(sample))
        counts[seed, drawn.astype(int)] = 1
        # Shuffled, too: the first batch is no better than the last.
        assert len(set(rows(sample)[:32])) > 5
    share = counts.mean(axis=0).reshape(10, 100).mean(axis=1)
    np.testing.assert_allclose(share, 0.2, atol=0.03)


def test_streams_are_drawn_reproducibly():
    a, b, c = (rows(draw_sample(sorted_stream(), size=50, seed=s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_an_endless_stream_is_read_as_far_as_promised(monkeypatch):
    monkeypatch.setattr(sampling, "REACH", 42)
    stream = Stream()
    assert draw_sample(stream, size=10).size == 10
    assert stream.read == 11
    stream = Stream()
    assert draw_sample(stream, size=50).size == 50
    assert stream.read == 13


def test_streams_can_be_batched_anew():
    sample = draw_sample(sorted_stream(40), size=10, batch_size=6)
    assert [batch.size for batch in sample.batches] == [6, 4]
    assert isinstance(sample.batches[0].x, np.ndarray)


class Pages(keras.utils.PyDataset):
    def __init__(self):
        super().__init__()
        self.asked = []

    def __len__(self):
        return 50

    def __getitem__(self, index):
        self.asked.append(index)
        return np.full((4, 2), index), np.full(4, index)


def test_a_py_dataset_gives_random_batches_and_only_those_needed():
    pages = Pages()
    sample = draw_sample(pages, size=8, seed=3)
    assert sample.size == 8
    assert len(set(pages.asked)) == 8
    assert len(set(rows(sample))) > 3


@pytest.mark.parametrize("kind", ["arrays", "stream", "pages"])
def test_no_more_is_drawn_than_fits_the_memory(kind):
    dataset = {
        "arrays": (X, Y),
        "stream": sorted_stream(),
        "pages": Pages(),
    }[kind]
    first = draw_sample(dataset, size=1).batches[0].x
    sample = draw_sample(dataset, size=15, most_bytes=6 * first.nbytes + 1)
    assert sample.size == 6


def test_parts_are_whole_batches():
    sample = draw_sample((X, Y), size=18, batch_size=4)
    first, rest = sample.part(0, 9), sample.part(9, 18)
    assert [batch.size for batch in first.batches] == [4, 4, 4]
    assert [batch.size for batch in rest.batches] == [4, 2]
    np.testing.assert_array_equal(np.append(rows(first), rows(rest)), rows(sample))


@pytest.mark.parametrize("targets", [np.array([0, 1, 2, 1]), np.eye(3)[[0, 1, 2, 1]]])
def test_class_weights_join_the_sample_weights(targets):
    sample = Sample((Batch(np.zeros((4, 2)), targets),))
    (batch,) = weighted_by_class(sample, {1: 5.0, 2: 0.5}).batches
    np.testing.assert_array_equal(batch.sample_weight, [1, 5, 0.5, 5])
    again = weighted_by_class(Sample((batch,)), {0: 3.0})
    np.testing.assert_array_equal(again.batches[0].sample_weight, [3, 5, 0.5, 5])


def test_class_weights_are_for_one_output():
    sample = Sample((Batch(np.zeros((4, 2)), (np.zeros(4), np.zeros(4))),))
    with pytest.raises(DataError, match="single output"):
        weighted_by_class(sample, {1: 2.0})


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ((X[:0], Y[:0]), "is empty"),
        ([], "length 0|expected"),
        ((X,), r"expected \(x, y\)"),
        ((X, None), "no targets"),
        ((X, Y[:3]), "different lengths"),
        (X, r"expected \(x, y\)|expected arrays"),
        (7, "type int"),
        (iter([(X, Y)]), "read only once"),
        (tf.data.Dataset.from_tensor_slices((X, Y)).batch(4).take(0), "is empty"),
        (tf.data.Dataset.from_tensor_slices(X).batch(4), r"expected \(x, y\)"),
    ],
)
def test_what_is_no_dataset_is_refused(dataset, words):
    with pytest.raises(DataError, match=words):
        draw_sample(dataset, size=4)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"size": 4, "batch_size": 0}])
def test_sizes_out_of_range(wrong):
    with pytest.raises(DataError, match="expected at least 1"):
        draw_sample((X, Y), **wrong)
