"""Callbacks of a growing job: one readable line per epoch, records, and NaN checks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from tf_splitting.errors import NonFiniteLossError
from tf_splitting.support import (
    Piece,
    Style,
    format_count,
    format_seconds,
    line_of,
)
from tf_splitting.training.epoch_watch import EpochWatch
from tf_splitting.training.feeds import Feed
from tf_splitting.training.history import GrowthHistory
from tf_splitting.training.schedule import Progress, Schedule


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises as soon as the running loss is NaN or infinite."""

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise NonFiniteLossError(
                f"The training loss became {loss} at batch {batch}. Lower the learning "
                "rate, clip gradients (clipnorm=...), or check the data for NaN."
            )


class Recorder(EpochWatch):
    """Records every epoch and prints a line for it.

    One recorder lives through the whole job, so that it can say how much time is
    left: seconds per epoch grow with the MACs.

    Args:
        history: filled in.
        schedule: of the job.
        rows: examples in a batch.
        steps: batches in the data, None where nobody knows.
        verbose: 0 prints nothing.
        name: what its lines begin with, if the job is one of several.

    Attributes:
        rows: examples in a batch.
        round, final, macs: of the phase that runs.
        later: compute that is planned for when this job is done, in the units of
            `Progress.spent`.
        spent_before: seconds of the epoch that runs that were spent before a resume.
        estimated: compute of an estimate that is in no round's record.
    """

    def __init__(
        self,
        history: GrowthHistory,
        schedule: Schedule,
        *,
        rows: float,
        steps: int | None,
        verbose: int,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self._name = name
        self._history = history
        self._schedule = schedule
        self.rows = rows
        self._steps = steps
        self._verbose = verbose
        self._first = False
        self._pace: float | None = None
        self.round = 0
        self.final = False
        self.macs = 0
        self.later = 0.0
        self.spent_before = 0.0
        self.estimated = 0.0

    @property
    def images_per_pass(self) -> float:
        """Images in the data; of data of unknown length, in a batch."""
        return self.rows * (self._steps or 1)

    def progress(self, epoch: int) -> Progress:
        """Where the job is when so many epochs are done."""
        spent = (self._history.path_compute + self.estimated) / self.images_per_pass
        return Progress(self.round, self.final, epoch, self.macs, spent)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._first = True
        if self._pace is None and self._history.epochs:
            last = self._history.epochs[-1]
            self._pace = last["seconds"] / last["macs"]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._start -= self.spent_before
        self.spent_before = 0.0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        seconds = self.spent
        logs = {name: float(value) for name, value in (logs or {}).items()}
        images = round(self._batches * self.rows)
        self._history.epochs.append(
            {
                "epoch": epoch + 1,
                "round": self.round,
                "macs": self.macs,
                "seconds": seconds,
                "images": images,
                "compute": float(self.macs * images),
                "measuring": self._measuring.reset(),
                **logs,
            }
        )
        passes = self._batches / (self._steps or self._batches)
        pace = seconds / (self.macs * passes)
        # A model's first epoch includes compiling, so it can only lower the estimate;
        # larger models take fewer seconds per MAC.
        if self._pace is not None and self._first:
            pace = min(pace, self._pace)
        self._pace = pace
        self._first = False
        if self._verbose:
            print(self._line(epoch, seconds, logs, pace), flush=True)

    def _line(
        self, epoch: int, seconds: float, logs: dict[str, float], pace: float
    ) -> str:
        """What matters most stays where a terminal has no room for all of it."""
        progress = self.progress(epoch + 1)
        left = pace * (self._schedule.remaining(progress) + self.later)
        compute = format_count(self._history.path_compute + self.estimated)
        told = "val_" if any(name.startswith("val_") for name in logs) else ""
        pieces = [] if self._name is None else [Piece(self._name, 4, "dim")]
        pieces.append(Piece(self._schedule.told(progress), 9, "blue"))
        for name, value in logs.items():
            # A metric says more than the loss, and of other data more than of this.
            weight = 7.0 if name.startswith(told) else 3.0
            weight -= name.endswith("loss")
            style: Style = "bold" if name.startswith(told) else "plain"
            pieces.append(Piece(f"{name} {value:.4f}", weight, style))
        pieces += [
            Piece(f"{format_count(self.macs)} MACs", 5),
            Piece(f"compute {compute}", 1, "dim"),
            Piece(format_seconds(seconds), 0, "dim"),
            Piece(f"{format_seconds(left)} left", 8, "dim"),
        ]
        return line_of(pieces)


class PhaseCallbacks(keras.callbacks.CallbackList):
    """The callbacks of a phase, who see one training run however `fit` is called.

    A phase that resumes inside an epoch takes a call of `fit` for what is left of it
    and one for the rest. Callbacks are told that training begins and ends once, and
    count batches from the start of the epoch.
    """

    def __init__(
        self,
        callbacks: list[keras.callbacks.Callback],
        model: keras.Model,
        feed: Feed,
        epochs: int,
        metrics: Sequence[np.ndarray] = (),
    ) -> None:
        super().__init__(
            callbacks,
            add_history=True,
            model=model,
            epochs=epochs,
            steps=feed.steps,
            verbose=0,
        )
        self._feed = feed
        self._metrics = metrics
        self._logs: dict[str, Any] | None = None
        self.first_batch = 0

    def begin(self) -> None:
        """Training begins."""
        super().on_train_begin()

    def end(self) -> None:
        """Training ends."""
        super().on_train_end(self._logs)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        pass

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._logs = logs or self._logs

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._feed.begin(epoch)
        if self.first_batch and self._metrics:
            set_values(self.model.metrics_variables, self._metrics)
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        super().on_train_batch_begin(batch + self.first_batch, logs)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        super().on_train_batch_end(batch + self.first_batch, logs)


def run_epochs(
    model: keras.Model,
    feed: Feed,
    *,
    first_epoch: int,
    last_epoch: int,
    callbacks: list[keras.callbacks.Callback],
    arguments: dict[str, Any],
    first_batch: int = 0,
    metrics: Sequence[np.ndarray] = (),
) -> None:
    """Trains from an epoch, or from within it, up to another.

    Args:
        model: compiled.
        feed: where batches come from.
        first_epoch: the first epoch to run, counted through the whole job.
        last_epoch: the one to stop before.
        callbacks: as for `fit`, in order.
        arguments: passed on to `fit`.
        first_batch: batches of the first epoch that are done.
        metrics: values of the model's metrics variables then.
    """
    heard = PhaseCallbacks(callbacks, model, feed, last_epoch, metrics)
    heard.begin()
    epoch = first_epoch
    with _unfinished(model.optimizer), warnings.catch_warnings():
        if feed.steps is None:
            # That is how an epoch ends whose length nobody knows.
            warnings.filterwarnings("ignore", "Your input ran out of data")
        if first_batch:
            heard.first_batch = first_batch
            left = feed.rest(epoch, first_batch)
            if left is None:
                _end_epoch(model, epoch, heard, arguments)
            else:
                _fit(model, {"x": left}, epoch, epoch + 1, heard, arguments)
            heard.first_batch = 0
            epoch += 1
        stopped = bool(first_batch) and model.stop_training
        while epoch < last_epoch and not stopped:
            data, end = feed.epochs(epoch), last_epoch
            if data is None:
                data, end = {"x": feed.rest(epoch, 0)}, epoch + 1
            _fit(model, data, epoch, end, heard, arguments)
            epoch, stopped = end, model.stop_training
    model.optimizer.finalize_variable_values(model.trainable_variables)
    heard.end()


def _fit(
    model: keras.Model,
    data: dict[str, Any],
    first_epoch: int,
    last_epoch: int,
    callbacks: PhaseCallbacks,
    arguments: dict[str, Any],
) -> None:
    model.fit(
        **data,
        initial_epoch=first_epoch,
        epochs=last_epoch,
        callbacks=callbacks,
        verbose=0,
        # Feeds come in their order; Keras warns if asked to shuffle a stream.
        shuffle=False,
        **arguments,
    )


def _end_epoch(
    model: keras.Model,
    epoch: int,
    callbacks: PhaseCallbacks,
    arguments: dict[str, Any],
) -> None:
    """What `fit` does when an epoch's batches are done, for one that has none left.

    That a step was an epoch's last is not known of streams without a length.
    """
    model.stop_training = False
    callbacks.on_epoch_begin(epoch)
    logs = {name: float(v) for name, v in model.get_metrics_result().items()}
    validation = arguments.get("validation_data")
    frequency = arguments.get("validation_freq", 1)
    due = (
        (epoch + 1) % frequency == 0
        if isinstance(frequency, int)
        else epoch + 1 in frequency
    )
    if validation is not None and due:
        parts = validation if isinstance(validation, (tuple, list)) else (validation,)
        measured = model.evaluate(
            *parts[:2],
            sample_weight=parts[2] if len(parts) > 2 else None,
            batch_size=arguments.get("validation_batch_size"),
            steps=arguments.get("validation_steps"),
            callbacks=callbacks,
            verbose=0,
            return_dict=True,
        )
        logs.update({f"val_{name}": value for name, value in measured.items()})
    callbacks.on_epoch_end(epoch, logs)


@contextmanager
def _unfinished(optimizer: keras.Optimizer) -> Iterator[None]:
    """Keeps `fit` from finishing the optimizer's work.

    With `use_ema` that replaces weights by their averages. A phase does it once.
    """
    optimizer.finalize_variable_values = lambda variables: None
    try:
        yield
    finally:
        del optimizer.finalize_variable_values


def set_values(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    """Assigns values to variables, in order."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
