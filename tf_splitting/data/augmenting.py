"""Crops, flips and channels of image batches, in NumPy or jax.numpy.

The same functions run on the host and, jitted, on the device. `pipeline.py` has them
for `tf.data`, and gives the same images for the same draws.
"""

from types import ModuleType
from typing import Any

import numpy as np

from tf_splitting.errors import DataError

# The margin of the random crop, as a share of the image's side.
CROP_SHARE = 8

# What red, green and blue give to grey, as in `tf.image.rgb_to_grayscale`.
GREY = (0.2989, 0.5870, 0.1140)


def augment(images: Any, draws: Any, xp: ModuleType = np) -> Any:
    """Crops each image from a black margin of 1/8 of its side, and flips half of them.

    Args:
        images: `[b, h, w, c]`, of any dtype.
        draws: float32 `[b, 3]`, uniform in 0..1: row, column, flip.
        xp: `numpy`, or `jax.numpy`.

    Source: the crop-and-flip of He et al. (arXiv 1512.03385) for CIFAR.
    """
    count, height, width, _ = images.shape
    rows_margin, columns_margin = height // CROP_SHARE, width // CROP_SHARE
    margins = ((0, 0), (rows_margin,) * 2, (columns_margin,) * 2, (0, 0))
    # float32, as in TensorFlow: float64 would cut some products to another number.
    choices = np.array([2 * rows_margin + 1, 2 * columns_margin + 1], np.float32)
    offsets = (draws[:, :2] * choices).astype(np.int32)
    rows = offsets[:, :1] + xp.arange(height)
    columns = xp.arange(width)
    columns = xp.where(draws[:, 2:] < 0.5, columns[::-1], columns) + offsets[:, 1:]
    images = xp.pad(images, margins)
    examples = xp.arange(count)[:, None, None]
    rows, columns = rows[:, :, None], columns[:, None, :]
    if xp is not np:
        return images[examples, rows, columns]
    # The same gather by one index: several times faster in NumPy, and slower in XLA.
    _, tall, wide, channels = images.shape
    pixels = (examples * tall + rows) * wide + columns
    return images.reshape(-1, channels).take(pixels, axis=0, mode="clip")


def to_channels(images: Any, channels: int, xp: ModuleType = np) -> Any:
    """Grey repeated to RGB, RGB mixed to grey, alpha dropped.

    Args:
        images: `[..., c]`; float32 where they are to be mixed.
        channels: 1 or 3.
        xp: `numpy`, or `jax.numpy`.

    Raises:
        DataError: the images have neither 1, 3 nor 4 channels.
    """
    images = without_alpha(images)
    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return xp.concatenate([images] * 3, axis=-1)
    red, green, blue = (images[..., k : k + 1] * np.float32(GREY[k]) for k in range(3))
    return red + green + blue


def without_alpha(images: Any) -> Any:
    """Grey or RGB, `[..., 1]` or `[..., 3]`.

    Raises:
        DataError: the images have neither 1, 3 nor 4 channels.
    """
    if images.shape[-1] not in (1, 3, 4):
        raise DataError(
            f"Got images with {images.shape[-1]} channels; expected 1 (grey), 3 (RGB) "
            "or 4 (RGB and alpha). Convert them."
        )
    return images[..., :3]
