"""`tf.data` for other backends: epochs that keep their number however Keras reads.

`pipeline.Batches` counts iterations, and on JAX Keras begins one more, to build
metrics. `fit` takes `tf.data` there too, so a single epoch stays what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tf_splitting.data import pipeline
from tf_splitting.data.epochs import Epochs


class Batches(pipeline.Batches):
    """Those of `pipeline.py`, but for `epochs`."""

    def epochs(self, first: int = 0) -> Epochs:
        """A dataset whose k-th iteration is epoch `first + k`."""
        return Epochs(lambda number: _InOrder(self.epoch(number)), self.steps, first)


class _InOrder:
    """Batches of a stream by index. Going back begins it anew."""

    def __init__(self, stream: tf.data.Dataset) -> None:
        self._stream = stream
        self._place = 0
        self._left: Iterator[Any] | None = None

    def __getitem__(self, index: int) -> Any:
        if self._left is None or index != self._place:
            self._left = self._stream.skip(index).as_numpy_iterator()
        self._place = index + 1
        return next(self._left)
