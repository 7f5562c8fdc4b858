"""Bilinear resizing as `tf.image.resize` does it, in NumPy or jax.numpy.

Along one axis every new pixel is a weighted mean of old ones, so an axis is resized by
one small matrix, and an image by two.
"""

import functools
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image


def resize(
    images: Any, size: tuple[int, int], *, antialias: bool, xp: ModuleType = np
) -> Any:
    """Resizes images to `size` pixels, whole.

    Args:
        images: `[..., height, width, channels]`.
        size: the new (height, width).
        antialias: widen the kernel along an axis that shrinks, so that every old pixel
            counts; without it new pixels are read between their two old neighbours.
        xp: `numpy`, or `jax.numpy`.

    Returns:
        float32 `[..., *size, channels]`: but for rounding, that of
        `tf.image.resize(images, size, "bilinear", antialias=antialias)`.
    """
    images = xp.asarray(images, np.float32)
    for axis, after in zip((-3, -2), size, strict=True):
        before = images.shape[axis]
        if before != after:
            shares = weights(before, after, antialias)
            images = xp.tensordot(images, shares, axes=((axis,), (1,)))
            images = xp.moveaxis(images, -1, axis)
    return images


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes one RGB image with `antialias`, on the host.

    Pillow multiplies only by the weights that are not zero: for photographs that is
    several times faster, and other threads may run meanwhile.

    Args:
        image: uint8 `[height, width, 3]`.
        size: the new (height, width).

    Returns:
        float32 `[*size, 3]`, that of `resize(image, size, antialias=True)` but for
        rounding.
    """
    # Mode F is float32; in RGB the result would be rounded to bytes.
    planes = [
        np.asarray(plane.convert("F").resize(size[::-1], Image.Resampling.BILINEAR))
        for plane in Image.fromarray(image).split()
    ]
    return np.stack(planes, axis=-1)


@functools.lru_cache(maxsize=64)
def weights(before: int, after: int, antialias: bool) -> np.ndarray:
    """What each of `before` pixels gives each of `after` pixels in its place.

    Pixels have their centres at halves. New pixel j lies at (j + ½)·before/after, and
    old pixel i counts by its distance d from there as max(0, 1 - d/r): r is 1, and with
    `antialias` before/after where that is more. What would count beyond the edge is
    given to the pixels there are.

    Returns:
        float32 `[after, before]`, rows that sum to 1; not to be written to.

    Example:

        >>> weights(4, 2, antialias=False).tolist()
        [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    scale = before / after
    reach = max(scale, 1.0) if antialias else 1.0
    places = (np.arange(after) + 0.5) * scale
    distances = np.abs(np.arange(before) + 0.5 - places[:, None])
    shares = np.maximum(1 - distances / reach, 0)
    shares = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    # Every caller gets this same array.
    shares.setflags(write=False)
    return shares
