"""The learning rate within a phase."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np


class CosineDecay(keras.callbacks.Callback):
    """Lowers the learning rate from its value to zero along half a cosine.

    The rate follows the batches where their number is known, else the epochs. When
    training ends the optimizer has its first rate back, ready to train on.

    Args:
        epochs: length of the decay.
        first_epoch: number of the epoch that it starts with.
        peak: the rate it starts from; default: the optimizer's when training begins.
    """

    def __init__(
        self, epochs: int, first_epoch: int = 0, peak: float | None = None
    ) -> None:
        super().__init__()
        self._epochs = epochs
        self._first_epoch = first_epoch
        self._given = peak
        self._peak = 0.0 if peak is None else peak
        self._done = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._given is None:
            self._given = float(np.asarray(self.model.optimizer.learning_rate))
            self._peak = self._given

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._done = epoch - self._first_epoch

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        within = batch / self.params["steps"] if self.params.get("steps") else 0.0
        passed = min((self._done + within) / self._epochs, 1.0)
        rate = self._peak * 0.5 * (1 + math.cos(math.pi * passed))
        self.model.optimizer.learning_rate = rate

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.model.optimizer.learning_rate = self._peak
