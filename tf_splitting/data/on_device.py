"""Image sets that stay on the device that trains. Imports JAX.

Bytes are stored; a batch is gathered, converted, resized and augmented by one jitted
function, and only its order and draws are sent.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from tf_splitting.data.finishing import Finish

# The share of a device's memory that one split may take: the rest is for the model.
SHARE = 1 / 8

# Bytes it may take where a device does not report its memory, as CPUs do not.
UNREPORTED = 2**30


def has_room(size: int) -> bool:
    """Whether so many bytes are to stay on the device.

    Not where there are several devices or processes: Keras shares a batch out among
    them, and wants it from the host. Ask in the thread that trains, since Keras keeps
    its distribution by thread.
    """
    if keras.distribution.distribution() is not None or jax.process_count() > 1:
        return False
    return size <= _room()


@functools.cache
def _room() -> float:
    reported = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    return UNREPORTED if reported is None else SHARE * reported


class DeviceArrays:
    """Images uint8 `[n, h, w, c]` and labels int32 `[n]`, on the device."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self._images, self._labels = jax.device_put((images, labels))

    def batch(
        self, rows: np.ndarray, draws: np.ndarray, finish: Finish
    ) -> tuple[jax.Array, jax.Array]:
        """The examples of these rows; does not wait for them."""
        return _batch(
            self._images, self._labels, rows.astype(np.int32), draws, finish=finish
        )


# Compiled once for whole batches, and once for the smaller one at an epoch's end.
@functools.partial(jax.jit, static_argnames="finish")
def _batch(
    images: Any, labels: Any, rows: Any, draws: Any, finish: Any
) -> tuple[Any, Any]:
    # Accelerators would else resize with factors rounded to 11 bits or fewer.
    with jax.default_matmul_precision("highest"):
        return finish(images[rows], draws, jnp), labels[rows]
