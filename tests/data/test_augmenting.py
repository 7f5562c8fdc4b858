"""Crops, flips and channels: the images of the tf.data pipeline for the same draws."""

import numpy as np
import pytest
import tensorflow as tf

from tf_splitting.data import pipeline
from tf_splitting.data.augmenting import CROP_SHARE, augment, to_channels
from tf_splitting.errors import DataError


def draws_at_every_step(count: int) -> np.ndarray:
    """Draws close below, at and above where the choice changes, of 1 to 57 choices."""
    steps = np.concatenate([np.arange(n) / n for n in range(1, 58, 2)])
    steps = steps.astype(np.float32)
    near = [
        steps,
        np.nextafter(steps, np.float32(0)),
        np.nextafter(steps, np.float32(1)),
    ]
    return np.random.default_rng(0).choice(np.concatenate(near), (count, 3))


@pytest.mark.parametrize(
    "shape", [(28, 28, 1), (32, 20, 3), (7, 9, 3), (1, 1, 1), (224, 16, 1)], ids=str
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_crops_and_flips_bit_by_bit(shape, dtype):
    rng = np.random.default_rng(1)
    images = (rng.random((200, *shape)) * 255).astype(dtype)
    random = rng.random((100, 3), dtype=np.float32)
    draws = np.concatenate([random, draws_at_every_step(100)])
    got = augment(images, draws)
    assert got.dtype == dtype
    expected = pipeline.augment(tf.constant(images), tf.constant(draws))
    np.testing.assert_array_equal(got, expected.numpy())


def test_margins_are_those_of_the_other_pipeline():
    assert CROP_SHARE == pipeline.CROP_SHARE


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("given", [1, 3, 4])
def test_channels(given, channels):
    rng = np.random.default_rng(2)
    images = (rng.random((2, 5, 4, given)) * 255).astype(np.float32)
    expected = pipeline._to_channels(tf.constant(images), channels).numpy()
    got = to_channels(images, channels)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    if given != 3 or channels == 3:
        np.testing.assert_array_equal(got, expected)


def test_other_channels_are_refused():
    with pytest.raises(DataError, match="2 channels; expected 1"):
        to_channels(np.zeros((1, 2, 2, 2), np.float32), 3)
