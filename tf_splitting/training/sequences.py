"""Batches by number, in an order that is a function of the seed, from anywhere on.

Epochs need not be as long as the data: they go on through it, pass after pass.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np

from tf_splitting.data import Batch, take_rows, whole_of

tree = keras.tree


class Layout(NamedTuple):
    """From one epoch on: how many batches come before it, and are in each."""

    first: int
    before: int
    steps: int

    def start(self, epoch: int) -> int:
        """Batches before an epoch."""
        return self.before + (epoch - self.first) * self.steps


class Batches(keras.utils.PyDataset):
    """Batches by number. Epochs of fewer batches than there are go on through them.

    Attributes:
        total: batches in the data.
        epoch: the one that is iterated.
        first_batch: where in it.
        last_batch: examples in the data's smallest batch, None where nobody knows.
        rows: examples in a batch, on average; None where nobody knows.
    """

    def __init__(
        self, total: int, seed: int, shuffle: bool, steps: int | None, **workers: Any
    ) -> None:
        super().__init__(**workers)
        self.total = total
        self._layout = Layout(0, 0, steps or total)
        self.epoch = 0
        self.first_batch = 0
        self.last_batch: int | None = None
        self.rows: float | None = None
        self._seed = seed if shuffle else None
        self._known: tuple[int, np.ndarray] | None = None

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self._layout.steps

    def lay(self, epoch: int, position: int, steps: int) -> None:
        """Epochs from one on hold `steps` batches; `position` batches come before."""
        self._layout = Layout(epoch, position, steps)

    def position(self, epoch: int) -> int:
        """Batches before an epoch."""
        return self._layout.start(epoch)

    def __len__(self) -> int:
        return self.steps - self.first_batch

    def _place(self, index: int) -> tuple[int, int]:
        """Number of the pass over the data, and of the batch in that pass."""
        position = self.position(self.epoch) + self.first_batch + index
        return divmod(position, self.total)

    def _order(self, passed: int, size: int) -> np.ndarray:
        """The order of `size` things in one pass, `[size]`."""
        # Read once: batches may be asked for by several threads.
        known = self._known
        if known is not None and known[0] == passed:
            return known[1]
        order = np.arange(size)
        if self._seed is not None:
            order = np.random.default_rng([self._seed, passed]).permutation(size)
        self._known = passed, order
        return order


class ArrayBatches(Batches):
    """Arrays in an order that is a function of the seed and the epoch."""

    def __init__(
        self,
        arrays: Any,
        batch_size: int,
        seed: int,
        shuffle: bool,
        steps: int | None,
    ) -> None:
        self._whole = whole_of(arrays)
        self._batch_size = batch_size
        super().__init__(-(-self._whole.size // batch_size), seed, shuffle, steps)
        shapes = tree.flatten(tree.map_structure(np.shape, self._whole.x))
        self.description = f"arrays of {self._whole.size} examples, {shapes}"
        self.last_batch = self._whole.size - (self.total - 1) * batch_size
        self.rows = self._whole.size / self.total if self.total else None

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        passed, batch = self._place(index)
        start = batch * self._batch_size
        order = self._order(passed, self._whole.size)
        return as_tuple(take_rows(self._whole, order[start : start + self._batch_size]))


class Reordered(Batches):
    """A user's PyDataset, its batches in an order that is a function of the epoch."""

    def __init__(
        self,
        inner: keras.utils.PyDataset,
        seed: int,
        shuffle: bool,
        steps: int | None,
    ) -> None:
        super().__init__(
            inner.num_batches,
            seed,
            shuffle,
            steps,
            workers=inner.workers,
            use_multiprocessing=inner.use_multiprocessing,
            max_queue_size=inner.max_queue_size,
        )
        self._inner = inner
        self.description = f"{type(inner).__name__} of {inner.num_batches} batches"

    def __getitem__(self, index: int) -> Any:
        passed, batch = self._place(index)
        return self._inner[int(self._order(passed, self.total)[batch])]

    def on_epoch_begin(self) -> None:
        self._inner.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._inner.on_epoch_end()


def as_tuple(batch: Batch) -> tuple[Any, ...]:
    """A batch as `fit` takes it."""
    if batch.sample_weight is None:
        return batch.x, batch.y
    return batch.x, batch.y, batch.sample_weight
