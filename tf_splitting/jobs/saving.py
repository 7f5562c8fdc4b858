"""The callback that keeps a job's state and has it saved, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tf_splitting.jobs.job_state import JobState
from tf_splitting.support import Looks, Placement, to_stop
from tf_splitting.training import Recorder


class Saving(keras.callbacks.Callback):
    """Counts epochs and batches; saves after epochs, every few steps, and on request.

    Args:
        save: saves a model with the job's state, and raises if the job is to stop.
        state: kept up to date.
        recorder: knows how long the epoch has taken.
        steps: save after every so many batches too.
        placement: of the model; what one process is asked stops all.
    """

    def __init__(
        self,
        save: Callable[[keras.Model], None],
        state: JobState,
        recorder: Recorder,
        steps: int | None,
        placement: Placement,
    ) -> None:
        super().__init__()
        self._save = save
        self._state = state
        self._recorder = recorder
        self._steps = steps
        self._saved = state.batch
        self._placement = placement
        self._looks = Looks(placement)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._saved = self._state.batch

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        done = batch + 1
        due = self._steps is not None and done - self._saved >= self._steps
        asked = self._looks.due() and to_stop(self._placement) is not None
        if not due and not asked:
            return
        if done == self.params.get("steps"):
            # The end of the epoch follows, and is saved.
            return
        self._saved = self._state.batch = done
        self._state.spent = self._recorder.spent
        self._save(self.model)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._state.epoch = epoch + 1
        self._state.batch = 0
        self._state.spent = 0.0
        self._state.ended = bool(self.model.stop_training)
        self._save(self.model)
