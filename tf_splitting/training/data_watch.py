"""Looks at every batch of a job's first epoch, so that bad data is found at once.

A sample is checked before any work starts. What it missed would otherwise show as a
loss that is NaN, hours later and without a place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tf_splitting.data import Batch
from tf_splitting.errors import DataError
from tf_splitting.support import Placement
from tf_splitting.training.data_checks import check_batch
from tf_splitting.training.feeds import Feed
from tf_splitting.training.wrapped_feed import WrappedFeed

tree = keras.tree


class Watched(WrappedFeed):
    """A feed whose first epoch is looked at.

    Attributes:
        found: what is wrong with the data, once it is known. `fit` wraps what is raised
            below it, so whoever calls that asks here.
    """

    def __init__(self, feed: Feed, model: keras.Model, placement: Placement) -> None:
        super().__init__(feed)
        self._placement = placement
        self._model = model
        self._before: int | None = 0
        self.found: DataError | None = None

    def begin(self, epoch: int) -> None:
        self._before = self.position(epoch)
        super().begin(epoch)

    def rest(self, epoch: int, first_batch: int) -> Any:
        left = super().rest(epoch, first_batch)
        if left is None or not self._is_new(self.position(epoch)):
            return left
        return self._watched(left, first_batch)

    def epochs(self, first: int) -> dict[str, Any] | None:
        data = super().epochs(first)
        if data is None or not self._is_new(self.position(first)):
            return data
        return {**data, "x": self._watched(data["x"], 0)}

    def _is_new(self, position: int | None) -> bool:
        """Whether data that so many batches come before was not gone through yet."""
        if position is None:
            return False
        return position < self.total if self.total else position == 0

    def _watched(self, data: Any, first_batch: int) -> Any:
        if isinstance(data, keras.utils.PyDataset):
            return _WatchedSequence(data, self._look, first_batch)
        # What else there is, Keras must be given as it is.
        if hasattr(data, "enumerate"):
            return self._watched_stream(data, first_batch)
        return data

    def _watched_stream(self, data: Any, first_batch: int) -> Any:
        import tensorflow as tf

        def look(number: Any, *element: Any) -> Any:
            flat = tree.flatten(element)

            def examine(number: np.ndarray, *arrays: np.ndarray) -> np.ndarray:
                self._look(int(number), tree.pack_sequence_as(element, arrays))
                return number

            with tf.control_dependencies(
                [tf.numpy_function(examine, [number, *flat], tf.int64)]
            ):
                passed = [tf.identity(tensor) for tensor in flat]
            return tree.pack_sequence_as(element, passed)

        return data.enumerate(first_batch).map(lambda number, each: look(number, *each))

    def _look(self, number: int, element: Any) -> None:
        before = self._before
        if before is None or not self._is_new(before + number):
            return
        # Batches made on a device are no NumPy arrays yet.
        x, y = tree.map_structure(np.asarray, tuple(element[:2]))
        batch = Batch(x, y)
        try:
            self._placement.rows(batch.size)
            check_batch(
                self._model, batch, f"batch {before + number} of the first epoch"
            )
        except DataError as error:
            self.found = self.found or error
            raise


Look = Callable[[int, Any], None]


class _WatchedSequence(keras.utils.PyDataset):
    def __init__(
        self, inner: keras.utils.PyDataset, look: Look, first_batch: int
    ) -> None:
        super().__init__(inner.workers, inner.use_multiprocessing, inner.max_queue_size)
        self._inner, self._look, self._first_batch = inner, look, first_batch

    @property
    def num_batches(self) -> int | None:
        return self._inner.num_batches

    def __getitem__(self, index: int) -> Any:
        element = self._inner[index]
        self._look(self._first_batch + index, element)
        return element

    def on_epoch_begin(self) -> None:
        self._inner.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._inner.on_epoch_end()
