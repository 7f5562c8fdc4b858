"""CIFAR-100 with its 20 coarse labels: training images, some set aside, test images.

Batches are made by NumPy, so that a run on one core spends its time on training.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np

HELD_OUT = 5_000
MARGIN = 4
Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Cifar:
    """The set's arrays, read once: uint8 images `[n, 32, 32, 3]` and labels `[n]`."""

    data_dir: str | None
    download: bool = False

    @cached_property
    def _training(self) -> Arrays:
        x, y = self._read("train")
        order = np.random.default_rng(0).permutation(len(x))
        return x[order], y[order]

    @property
    def training(self) -> Arrays:
        """What is trained on."""
        x, y = self._training
        return x[HELD_OUT:], y[HELD_OUT:]

    @property
    def held_out(self) -> Arrays:
        """What every choice is made by."""
        x, y = self._training
        return x[:HELD_OUT], y[:HELD_OUT]

    @cached_property
    def test(self) -> Arrays:
        """What the tables quote."""
        return self._read("test")

    def _read(self, split: str) -> Arrays:
        import tensorflow_datasets as tfds

        whole = tfds.load(
            "cifar100",
            split=split,
            batch_size=-1,
            data_dir=self.data_dir,
            download=self.download,
        )
        read = tfds.as_numpy(whole)
        return read["image"], read["coarse_label"].astype(np.int32)


class Augmented:
    """Training images, cropped and flipped, whose epochs are functions of the seed.

    Attributes:
        steps, train_size: batches and images in an epoch; all batches are full.
    """

    name = "cifar100:coarse_label"

    def __init__(self, arrays: Arrays, batch_size: int, seed: int) -> None:
        self._arrays = arrays
        self._batch_size = batch_size
        self._seed = seed
        self.steps = len(arrays[0]) // batch_size
        self.train_size = self.steps * batch_size

    def epoch_dataset(self, epoch: int, first_batch: int = 0) -> keras.utils.PyDataset:
        """An epoch's batches from one on."""
        return _Epoch(self, epoch, first_batch)

    def epochs(self, first: int = 0) -> Any:
        """Epochs one after the other."""
        raise NotImplementedError("Runs are laid out by compute, in parts of epochs.")

    def order(self, epoch: int) -> np.ndarray:
        """The order of an epoch's images, `[images]`."""
        generator = np.random.default_rng([self._seed, epoch])
        return generator.permutation(len(self._arrays[0]))

    def batch(self, order: np.ndarray, epoch: int, index: int) -> Arrays:
        """A batch of an epoch."""
        place = slice(index * self._batch_size, (index + 1) * self._batch_size)
        x, y = (array[order[place]] for array in self._arrays)
        return augmented(x, np.random.default_rng([self._seed, epoch, index])), y


class _Epoch(keras.utils.PyDataset):
    def __init__(self, images: Augmented, epoch: int, first_batch: int) -> None:
        super().__init__()
        self._images, self._epoch, self._first = images, epoch, first_batch
        self._order = images.order(epoch)

    def __len__(self) -> int:
        return self._images.steps - self._first

    def __getitem__(self, index: int) -> Arrays:
        return self._images.batch(self._order, self._epoch, self._first + index)


def augmented(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Crops from a mirrored margin of four pixels; half are flipped left to right.

    Args:
        images: `[n, height, width, channels]`.
    """
    count, height, width, _ = images.shape
    sides = (MARGIN, MARGIN)
    padded = np.pad(images, ((0, 0), sides, sides, (0, 0)), mode="reflect")
    down, right = generator.integers(0, 2 * MARGIN + 1, (2, count))
    columns = np.arange(width)
    flipped = generator.random(count)[:, None] < 0.5
    columns = right[:, None] + np.where(flipped, columns[::-1], columns)
    rows = down[:, None] + np.arange(height)
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None]]
