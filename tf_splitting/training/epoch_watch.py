"""What callbacks that record epochs count in each."""

from __future__ import annotations

import time
from typing import Any

import keras

from tf_splitting.support import Stopwatch


class EpochWatch(keras.callbacks.Callback):
    """Counts an epoch's batches, and its seconds, those of validation apart too."""

    def __init__(self) -> None:
        super().__init__()
        self._batches = 0
        self._start = 0.0
        self._measuring = Stopwatch()

    @property
    def spent(self) -> float:
        """Seconds spent in the epoch that runs."""
        return time.perf_counter() - self._start

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._start = time.perf_counter()
        self._measuring.reset()

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._batches = batch + 1

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._measuring.start()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._measuring.stop()
