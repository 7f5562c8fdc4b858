"""Batches of the shipped set: content, order by (seed, epoch), augmentation."""

import numpy as np
import pytest
import tensorflow as tf

from tf_splitting.data import fashion_mnist_small
from tf_splitting.data.loading import load
from tf_splitting.data.order import plan_epoch
from tf_splitting.data.pipeline import augment
from tf_splitting.errors import DataError, UnknownNameError

NAME = "fashion_mnist_small"


def collect(dataset: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """All images and labels, in order."""
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def small(**options):
    return load(NAME, train_limit=150, test_limit=30, **options)


def test_unshuffled_batches_are_the_files_pixels():
    data = small(shuffle=False, channels=1)
    images, labels = collect(data.train)
    np.testing.assert_array_equal(images, fashion_mnist_small.read().train_images[:150])
    np.testing.assert_array_equal(labels, fashion_mnist_small.read().train_labels[:150])
    assert images.dtype == np.float32
    assert labels.dtype == np.int32


def test_sizes_and_names():
    data = small(batch_size=64)
    assert (data.train_size, data.test_size, data.classes) == (150, 30, 10)
    assert data.class_names[-1] == "Ankle boot"
    assert data.train.cardinality() == 3
    assert [len(labels) for _, labels in data.train] == [64, 64, 22]
    spec = data.train.element_spec[0]
    assert (tuple(spec.shape), spec.dtype) == ((None, 28, 28, 3), tf.float32)


def test_grey_is_repeated_over_three_channels():
    images, _ = collect(small().test)
    np.testing.assert_array_equal(images[..., 0], images[..., 2])


def test_shuffling_keeps_every_pair():
    images, labels = collect(small(channels=1).train)
    expected = fashion_mnist_small.read()
    pairs = {
        (image.tobytes(), label)
        for image, label in zip(images.astype(np.uint8), labels, strict=True)
    }
    wanted = zip(expected.train_images[:150], expected.train_labels[:150], strict=True)
    assert pairs == {(image.tobytes(), label) for image, label in wanted}


def test_the_kth_iteration_is_epoch_k_again_and_again():
    data = small(augment=True, seed=3)
    iterations = [collect(data.train) for _ in range(3)]
    again = small(augment=True, seed=3, batch_size=7)
    for k in (2, 0, 1):
        for got, expected in zip(
            collect(again.epoch_dataset(k)), iterations[k], strict=True
        ):
            np.testing.assert_array_equal(got, expected)
    assert not np.array_equal(iterations[0][1], iterations[1][1])


def test_seeds_differ():
    _, one = collect(small(seed=1).train)
    _, two = collect(small(seed=2).train)
    assert not np.array_equal(one, two)


def test_augmentation_changes_training_images_only():
    plain, augmented = small(shuffle=False), small(shuffle=False, augment=True)
    assert not np.array_equal(collect(plain.train)[0], collect(augmented.train)[0])
    np.testing.assert_array_equal(collect(plain.test)[0], collect(augmented.test)[0])


def test_augment_is_pad_crop_and_flip():
    images = tf.random.stateless_uniform((4, 16, 8, 3), seed=(0, 0))
    # Row offset 0..4 and column offset 0..2, so these draws choose:
    draws = tf.constant(
        [[0.5, 0.5, 0.9], [0.0, 0.5, 0.9], [0.5, 0.99, 0.9], [0.5, 0.5, 0.1]]
    )
    same, down, left, flipped = augment(images, draws).numpy()
    np.testing.assert_array_equal(same, images[0])
    np.testing.assert_array_equal(down[2:], images[1, :-2])
    assert not down[:2].any()
    np.testing.assert_array_equal(left[:, :-1], images[2, :, 1:])
    assert not left[:, -1].any()
    np.testing.assert_array_equal(flipped, images[3, :, ::-1])


def test_draws_belong_to_the_example_and_fill_their_range():
    shuffled = plan_epoch(1000, 5, 2, shuffle=True)
    straight = plan_epoch(1000, 5, 2, shuffle=False)
    np.testing.assert_array_equal(straight.draws[shuffled.order], shuffled.draws)
    assert straight.draws.min() >= 0
    assert straight.draws.max() < 1
    np.testing.assert_allclose(straight.draws.mean(axis=0), 0.5, atol=0.05)


@pytest.mark.parametrize("size", [56, (40, 20)], ids=str)
def test_resizing_is_bilinear(size):
    images, _ = collect(small(image_size=size, channels=1).test)
    height, width = (size, size) if isinstance(size, int) else size
    assert images.shape == (30, height, width, 1)
    expected = tf.image.resize(
        fashion_mnist_small.read().test_images[:30],
        (height, width),
        antialias=width < 28,
    )
    np.testing.assert_allclose(images, expected.numpy(), atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 2}, "channels=2"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"train_limit": -1}, "train_limit=-1"),
        ({"image_size": (3, 4, 5)}, "image_size="),
        ({"image_size": 0}, "image_size=0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        load(NAME, **options)


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'fashion_mnist_small'"):
        load("fashion_mnist_smal")
