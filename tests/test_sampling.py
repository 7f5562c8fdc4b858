"""Samples of all kinds of data sets."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_splitting.errors import DataError
from tf_splitting.sampling import draw_sample

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
    """An iterable that counts what is read of it: the rows again and again."""

    def __init__(self):
        self.read = 0

    def __iter__(self):
        for number in range(1000):
            self.read += 1
            rows = slice(4 * (number % 5), 4 * (number % 5) + 4)
            yield X[rows], Y[rows]


def test_a_stream_is_read_no_further_than_needed():
    stream = Stream()
    sample = draw_sample(stream, size=10)
    assert stream.read == 3
    np.testing.assert_array_equal(rows(sample), np.arange(10))


def test_tf_data_is_read_no_further_than_needed():
    stream = Stream()
    signature = (tf.TensorSpec((None, 2)), tf.TensorSpec((None,), tf.int64))
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(stream), output_signature=signature
    )
    sample = draw_sample(dataset, size=8)
    assert stream.read <= 2 + 8  # TensorFlow may prefetch a little
    assert sample.size == 8
    assert isinstance(sample.batches[0].x, np.ndarray)


def test_streams_can_be_batched_anew():
    sample = draw_sample(Stream(), size=10, batch_size=6)
    assert [batch.size for batch in sample.batches] == [6, 4]
    np.testing.assert_array_equal(rows(sample), np.arange(10))


class Pages(keras.utils.PyDataset):
    def __init__(self):
        super().__init__()
        self.asked = []

    def __len__(self):
        return 5

    def __getitem__(self, index):
        self.asked.append(index)
        return X[4 * index : 4 * index + 4], Y[4 * index : 4 * index + 4]


def test_a_py_dataset_gives_random_batches_and_only_those_needed():
    pages = Pages()
    assert draw_sample(pages, size=8, seed=3).size == 8
    assert len(set(pages.asked)) == 2
    assert pages.asked != [0, 1]


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
