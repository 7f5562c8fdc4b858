"""Callbacks of a growing job: one readable line per epoch, records, and NaN checks."""

from __future__ import annotations

import math
import time
from typing import Any

import keras

from tf_splitting.errors import NonFiniteLossError
from tf_splitting.history import GrowthHistory
from tf_splitting.progress import format_count, format_seconds
from tf_splitting.schedule import Schedule


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises as soon as the running loss is NaN or infinite."""

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise NonFiniteLossError(
                f"The training loss became {loss} at batch {batch}. Lower the learning "
                "rate, clip gradients (clipnorm=...), or check the data for NaN."
            )


class Recorder(keras.callbacks.Callback):
    """Records every epoch and prints a line for it.

    One recorder lives through the whole job, so that it can say how much time is
    left: seconds per epoch grow with the MACs.
    """

    def __init__(
        self, history: GrowthHistory, schedule: Schedule, *, verbose: int
    ) -> None:
        super().__init__()
        self._history = history
        self._schedule = schedule
        self._verbose = verbose
        self._start = 0.0
        self._first = False
        self._pace: float | None = None
        self.round = 0
        self.macs = 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._first = True

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        seconds = time.perf_counter() - self._start
        logs = {name: float(value) for name, value in (logs or {}).items()}
        self._history.epochs.append(
            {
                "epoch": epoch + 1,
                "round": self.round,
                "macs": self.macs,
                "seconds": seconds,
                **logs,
            }
        )
        pace = seconds / self.macs
        # A model's first epoch includes compiling, so it can only lower the estimate;
        # larger models take fewer seconds per MAC.
        if self._pace is not None and self._first:
            pace = min(pace, self._pace)
        self._pace = pace
        self._first = False
        if self._verbose:
            print(self._line(epoch, seconds, logs), flush=True)

    def _line(self, epoch: int, seconds: float, logs: dict[str, float]) -> str:
        left = self._pace * self._schedule.remaining_work(epoch + 1, self.macs)
        values = [f"{name} {value:.4f}" for name, value in logs.items()]
        # Limits on widths can make a job take more rounds than planned.
        extra = max(self.round - self._schedule.rounds, 0)
        epochs = self._schedule.total_epochs + extra * self._schedule.epochs
        return "  ".join(
            [
                f"round {self.round}/{self._schedule.rounds + extra}",
                f"epoch {epoch + 1}/{epochs}",
                *values,
                f"{format_count(self.macs)} MACs",
                format_seconds(seconds),
                f"{format_seconds(left)} left",
            ]
        )


def fit(
    model: keras.Model,
    dataset: Any,
    *,
    batch_size: int | None,
    first_epoch: int,
    epochs: int,
    callbacks: list[keras.callbacks.Callback],
    arguments: dict[str, Any],
) -> None:
    """`model.fit` on arrays or a dataset, epochs numbered on from `first_epoch`."""
    if isinstance(dataset, (tuple, list)):
        keys = ("x", "y", "sample_weight")
        data = dict(zip(keys, dataset, strict=False))
        data["batch_size"] = batch_size
    else:
        data = {"x": dataset}
        if not isinstance(dataset, keras.utils.PyDataset):
            # A stream comes in its own order; Keras warns if asked to shuffle it.
            arguments = {"shuffle": False, **arguments}
    model.fit(
        **data,
        initial_epoch=first_epoch,
        epochs=first_epoch + epochs,
        callbacks=callbacks,
        verbose=0,
        **arguments,
    )
