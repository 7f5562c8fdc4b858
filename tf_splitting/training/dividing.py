"""Data sets whose batches can be divided over devices, see `placement`."""

from __future__ import annotations

from typing import Any

import keras

from tf_splitting.data import is_arrays, take_rows, whole_of
from tf_splitting.errors import DataError
from tf_splitting.support import Placement, rows_of
from tf_splitting.training.feeds import Feed, as_feed
from tf_splitting.training.sequences import as_tuple
from tf_splitting.training.wrapped_feed import WrappedFeed

tree = keras.tree


class Divided(WrappedFeed):
    """A feed of which each process gets its rows of every batch."""

    def __init__(self, feed: Feed, placement: Placement) -> None:
        super().__init__(feed)
        self._placement = placement

    def rest(self, epoch: int, first_batch: int) -> Any:
        left = super().rest(epoch, first_batch)
        return None if left is None else divide(left, self._placement)

    def epochs(self, first: int) -> dict[str, Any] | None:
        data = super().epochs(first)
        if data is None:
            return None
        return {**data, "x": divide(data["x"], self._placement)}


def divide(data: Any, placement: Placement, batch_size: int | None = None) -> Any:
    """What `fit` and `evaluate` take, with this process's rows of every batch.

    Args:
        data: arrays, a PyDataset, tf.data.
        placement: of the model.
        batch_size: of arrays; 32 by default.

    Raises:
        DataError: it is something else.
    """
    if not placement.divides or data is None:
        return data
    if is_arrays(data):
        whole = whole_of(data)
        used = take_rows(whole, slice(0, placement.whole(whole.size)))
        # Even batches, so that no more is left out than what does not divide.
        size = -(-(batch_size or 32) // placement.devices) * placement.devices
        feed = as_feed(as_tuple(used), batch_size=size, shuffle=False)
        return _DividedSequence(feed.rest(0, 0), placement)
    if isinstance(data, keras.utils.PyDataset):
        return _DividedSequence(data, placement)
    if hasattr(data, "cardinality"):
        return data.map(lambda *element: _rows_in_graph(element, placement))
    raise DataError(
        f"Got a dataset of type {type(data).__name__} for a model on "
        f"{placement.devices} devices; expected arrays, a PyDataset or a "
        "tf.data.Dataset. Wrap it in a keras.utils.PyDataset."
    )


def _rows_in_graph(element: Any, placement: Placement) -> Any:
    import tensorflow as tf

    size = tf.shape(tree.flatten(element)[0])[0]
    share = size // placement.devices * placement.devices // placement.processes
    start = placement.process * share
    return tree.map_structure(lambda tensor: tensor[start : start + share], element)


class _DividedSequence(keras.utils.PyDataset):
    def __init__(self, inner: keras.utils.PyDataset, placement: Placement) -> None:
        super().__init__(inner.workers, inner.use_multiprocessing, inner.max_queue_size)
        self._inner, self._placement = inner, placement

    @property
    def num_batches(self) -> int | None:
        return self._inner.num_batches

    def __getitem__(self, index: int) -> Any:
        return rows_of(self._inner[index], self._placement)

    def on_epoch_begin(self) -> None:
        self._inner.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._inner.on_epoch_end()
