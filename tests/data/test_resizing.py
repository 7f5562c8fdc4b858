"""Bilinear resizing against `tf.image.resize`."""

import numpy as np
import pytest
import tensorflow as tf

from tf_splitting.data.resizing import resize, resize_image, weights


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((28, 28), (56, 56)),
        ((28, 28), (10, 10)),
        ((28, 28), (224, 17)),
        ((101, 30), (32, 77)),
        ((1, 7), (5, 1)),
        ((1, 1), (3, 4)),
        ((13, 9), (1, 1)),
        ((6, 8), (6, 8)),
        ((6, 8), (6, 5)),
    ],
    ids=str,
)
def test_as_tensorflow(before, after, antialias):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, *before, 3)).astype(np.uint8)
    expected = tf.image.resize(images, after, "bilinear", antialias=antialias)
    got = resize(images, after, antialias=antialias)
    assert (got.shape, got.dtype) == ((2, *after, 3), np.float32)
    np.testing.assert_allclose(got, expected.numpy(), atol=1e-4 * 255)
    # One image, as files come.
    np.testing.assert_allclose(
        resize(images[1], after, antialias=antialias), got[1], atol=1e-3
    )


@pytest.mark.parametrize("antialias", [True, False])
def test_weights_are_means_that_keep_left_and_right(antialias):
    for before, after in ((7, 3), (3, 7), (1, 4), (4, 1), (50, 49)):
        shares = weights(before, after, antialias)
        assert shares.min() >= 0
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(shares[::-1, ::-1], shares, atol=1e-6)


@pytest.mark.parametrize("after", [(30, 17), (224, 100), (1, 1), (64, 48), (64, 9)])
def test_single_images_are_resized_the_same(after):
    image = np.random.default_rng(1).integers(0, 256, (64, 48, 3), np.uint8)
    got = resize_image(image, after)
    assert (got.shape, got.dtype) == ((*after, 3), np.float32)
    expected = tf.image.resize(image, after, "bilinear", antialias=True)
    np.testing.assert_allclose(got, expected.numpy(), atol=1e-4 * 255)


def test_with_antialias_every_pixel_counts():
    assert weights(100, 5, True).sum(axis=0).min() > 0
    assert (weights(100, 5, False) > 0).sum() == 10
