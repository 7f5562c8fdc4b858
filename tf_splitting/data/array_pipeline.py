"""Turns a source of images into `PyDataset`s of batches, without TensorFlow.

The counterpart of `pipeline.py` for other backends: the same batches for the same seed
and epoch, in the same order.
"""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np

from tf_splitting.data.decoding import decode
from tf_splitting.data.epochs import Epoch, Epochs
from tf_splitting.data.finishing import Finish
from tf_splitting.data.order import plan_epoch
from tf_splitting.data.read_ahead import ReadAhead
from tf_splitting.data.resizing import resize_image
from tf_splitting.errors import DataError

if TYPE_CHECKING:
    from tf_splitting.data.on_device import DeviceArrays

# Threads that decode the images of a batch, where there are as many cores.
DECODERS = 8


class Source(Protocol):
    """One split of a data set.

    Attributes:
        size: number of examples.
        image_size: (height, width), or None where images may differ.
    """

    size: int
    image_size: tuple[int, int] | None

    def batch(
        self, rows: np.ndarray, draws: np.ndarray, finish: Finish
    ) -> tuple[np.ndarray, np.ndarray]:
        """The examples with these indices, made on the host, in any thread.

        Args:
            rows: int64 `[b]`.
            draws: float32 `[b, 3]`, for each example.
            finish: what the images are to look like.
        """

    def on_device(self) -> DeviceArrays | None:
        """The same on the device, if that is where batches are to be made now."""


class ArraySource:
    """Decoded images in memory: uint8 `[n, h, w, c]`, labels `[n]`."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.size = len(images)
        self.image_size = tuple(images.shape[1:3])
        self._images = images
        self._labels = labels.astype(np.int32)

    def batch(
        self, rows: np.ndarray, draws: np.ndarray, finish: Finish
    ) -> tuple[np.ndarray, np.ndarray]:
        return finish(self._images[rows], draws), self._labels[rows]

    def on_device(self) -> DeviceArrays | None:
        # Any other backend has these batches on the host.
        if keras.backend.backend() != "jax":
            return None
        from tf_splitting.data import on_device

        return self._resident if on_device.has_room(self._images.nbytes) else None

    @functools.cached_property
    def _resident(self) -> DeviceArrays:
        from tf_splitting.data.on_device import DeviceArrays

        return DeviceArrays(self._images, self._labels)


class FileSource:
    """Image files, decoded again in every epoch."""

    def __init__(
        self, paths: list[str], labels: np.ndarray, image_size: tuple[int, int] | None
    ) -> None:
        self.size = len(paths)
        self.image_size = image_size
        self._paths = paths
        self._labels = labels.astype(np.int32)
        self._decoders = ThreadPoolExecutor(min(DECODERS, os.cpu_count() or 1))

    def batch(
        self, rows: np.ndarray, draws: np.ndarray, finish: Finish
    ) -> tuple[np.ndarray, np.ndarray]:
        """Decodes in parallel, and resizes there, since sizes may differ."""

        def read(row: int) -> np.ndarray:
            path = self._paths[row]
            image = decode(path)
            size = image.shape[:2]
            if self.image_size not in (None, size):
                height, width = self.image_size
                raise DataError(
                    f"{path!r} has become {size[1]}x{size[0]} pixels; expected "
                    f"{width}x{height} as when the set was loaded. Load it again."
                )
            return image if size == finish.size else resize_image(image, finish.size)

        images = np.stack(list(self._decoders.map(read, rows)))
        return finish(images, draws), self._labels[rows]

    def on_device(self) -> None:
        """Never: files are decoded on the host."""


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

    def epoch(self, epoch: int, first_batch: int = 0) -> Epoch:
        """Epoch `epoch` from a batch on, the same whenever it is asked for."""
        source = self.source
        finish = Finish(self.size, self.channels, self.augment)
        plan = plan_epoch(source.size, self.seed, epoch, shuffle=self.shuffle)
        length = max(self.steps - first_batch, 0)

        def part(index: int) -> tuple[np.ndarray, np.ndarray]:
            start = (first_batch + index) * self.batch_size
            place = slice(start, start + self.batch_size)
            return plan.order[place], plan.draws[place]

        ahead = ReadAhead(lambda index: source.batch(*part(index), finish), length)

        def batch(index: int) -> tuple[Any, Any]:
            # Asked for each batch: a distribution may be set after the data is loaded.
            resident = source.on_device()
            if resident is None:
                return ahead[index]
            return resident.batch(*part(index), finish)

        return Epoch(batch, length)

    def epochs(self, first: int = 0) -> Epochs:
        """A dataset whose k-th iteration is epoch `first + k`."""
        return Epochs(self.epoch, self.steps, first)
