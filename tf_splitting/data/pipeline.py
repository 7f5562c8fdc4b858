"""Turns a source of images into `tf.data` batches.

Sources differ in how they reach an example; everything after that is shared.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from tf_splitting.data.order import EpochPlan, plan_epoch

Resize = Callable[[tf.Tensor], tf.Tensor]

# The margin of the random crop, as a share of the image's side.
CROP_SHARE = 8


class Source(Protocol):
    """One split of a data set.

    Attributes:
        size: number of examples.
        image_size: (height, width), or None where images may differ.
    """

    size: int
    image_size: tuple[int, int] | None

    def batches(
        self, plan: EpochPlan, batch_size: int, resize: Resize, *, shuffle: bool
    ) -> tf.data.Dataset:
        """One epoch of `(images [b, h, w, c], labels [b], draws [b, 3])`.

        Args:
            plan: tensors; the draws are handed on, one row per example.
            batch_size: examples.
            resize: for single images, where a batch cannot be formed without it.
            shuffle: False where `plan.order` is the source's own order.
        """


class ArraySource:
    """Decoded images in memory: uint8 `[n, h, w, c]`, labels `[n]`."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.size = len(images)
        self.image_size = tuple(images.shape[1:3])
        # Accelerator memory is for the model; batches are made on the host.
        with tf.device("CPU:0"):
            self._images = tf.constant(images)
            self._labels = tf.constant(labels, tf.int32)

    def batches(
        self, plan: EpochPlan, batch_size: int, resize: Resize, *, shuffle: bool
    ) -> tf.data.Dataset:
        """Gathers whole batches, many times cheaper than image by image."""
        positions = tf.data.Dataset.from_tensor_slices((plan.order, plan.draws))
        return positions.batch(batch_size).map(
            lambda index, draw: (
                tf.gather(self._images, index),
                tf.gather(self._labels, index),
                draw,
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
        )


class FileSource:
    """Image files, decoded again in every epoch."""

    def __init__(
        self, paths: list[str], labels: np.ndarray, image_size: tuple[int, int] | None
    ) -> None:
        self.size = len(paths)
        self.image_size = image_size
        with tf.device("CPU:0"):
            self._paths = tf.constant(paths)
            self._labels = tf.constant(labels, tf.int32)

    def batches(
        self, plan: EpochPlan, batch_size: int, resize: Resize, *, shuffle: bool
    ) -> tf.data.Dataset:
        """Decodes in parallel; only paths are shuffled."""

        def read(index: tf.Tensor, draw: tf.Tensor) -> tuple[tf.Tensor, ...]:
            encoded = tf.io.read_file(tf.gather(self._paths, index))
            image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
            image.set_shape((None, None, 3))
            return resize(image), tf.gather(self._labels, index), draw

        positions = tf.data.Dataset.from_tensor_slices((plan.order, plan.draws))
        images = positions.map(read, num_parallel_calls=tf.data.AUTOTUNE)
        return images.batch(batch_size)


@dataclass(frozen=True)
class Batches:
    """One split: how its epochs are ordered, and what its batches look like.

    `size` is (height, width); the rest is as in `tf_splitting.data.load`.
    """

    source: Source
    size: tuple[int, int]
    channels: int
    batch_size: int
    seed: int
    shuffle: bool
    augment: bool

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return -(-self.source.size // self.batch_size)

    def epoch(self, epoch: int, first_batch: int = 0) -> tf.data.Dataset:
        """Epoch `epoch` from a batch on, the same whenever it is asked for."""
        number = tf.data.Dataset.from_tensors(np.int64(epoch))
        return self._dataset(number, first_batch)

    def epochs(self, first: int = 0) -> tf.data.Dataset:
        """A dataset whose k-th iteration is epoch `first + k`."""
        count = itertools.count(first)
        numbers = tf.data.Dataset.from_generator(
            lambda: [next(count)],
            output_signature=tf.TensorSpec((), tf.int64),
        )
        return self._dataset(numbers)

    def _dataset(
        self, numbers: tf.data.Dataset, first_batch: int = 0
    ) -> tf.data.Dataset:
        return (
            numbers.flat_map(self._one)
            # Before images are resized and augmented, which is most of the work.
            .skip(first_batch)
            .map(self._finish, num_parallel_calls=tf.data.AUTOTUNE)
            .apply(tf.data.experimental.assert_cardinality(self.steps - first_batch))
            .prefetch(tf.data.AUTOTUNE)
        )

    def _one(self, epoch: tf.Tensor) -> tf.data.Dataset:
        def plan(number: np.ndarray) -> EpochPlan:
            return plan_epoch(
                self.source.size, self.seed, int(number), shuffle=self.shuffle
            )

        order, draws, seed = tf.numpy_function(
            plan, [epoch], (tf.int64, tf.float32, tf.int64)
        )
        order.set_shape((self.source.size,))
        draws.set_shape((self.source.size, 3))
        seed.set_shape(())
        return self.source.batches(
            EpochPlan(order, draws, seed),
            self.batch_size,
            self._resize,
            shuffle=self.shuffle,
        )

    def _resize(self, images: tf.Tensor) -> tf.Tensor:
        """Bilinear, with a filter against aliasing where an image may shrink."""
        known = self.source.image_size
        if known == self.size:
            return images
        grows = known is not None and all(np.less_equal(known, self.size))
        return tf.image.resize(images, self.size, "bilinear", antialias=not grows)

    def _finish(
        self, images: tf.Tensor, labels: tf.Tensor, draws: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        if tuple(images.shape[1:3]) != self.size:
            images = self._resize(images)
        images.set_shape((None, *self.size, None))
        images = _to_channels(tf.cast(images, tf.float32), self.channels)
        if self.augment:
            images = augment(images, draws)
        return images, labels


def _to_channels(images: tf.Tensor, channels: int) -> tf.Tensor:
    """Grey to RGB, RGB to grey, alpha dropped; the last axis is static."""
    if images.shape[-1] == 4:
        images = images[..., :3]
    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return tf.image.grayscale_to_rgb(images)
    return tf.image.rgb_to_grayscale(images)


def augment(images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Crops each image from a black margin of 1/8 of its side, and flips half of them.

    Args:
        images: `[b, h, w, c]`.
        draws: `[b, 3]`, uniform in 0..1: row, column, flip.

    Source: the crop-and-flip of He et al. (arXiv 1512.03385) for CIFAR.
    """
    height, width = images.shape[1:3]
    rows_margin, columns_margin = height // CROP_SHARE, width // CROP_SHARE
    margins = ((0, 0), (rows_margin,) * 2, (columns_margin,) * 2, (0, 0))
    choices = tf.constant([2 * rows_margin + 1, 2 * columns_margin + 1], tf.float32)
    offsets = tf.cast(draws[:, :2] * choices, tf.int32)
    rows = offsets[:, :1] + tf.range(height)
    columns = tf.range(width)
    columns = tf.where(draws[:, 2:] < 0.5, columns[::-1], columns) + offsets[:, 1:2]
    images = tf.gather(tf.pad(images, margins), rows, axis=1, batch_dims=1)
    return tf.gather(images, columns, axis=2, batch_dims=1)
