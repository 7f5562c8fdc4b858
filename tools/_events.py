"""TensorBoard events of a job, on any backend."""

from pathlib import Path

import keras
import numpy as np
from tensorboardX import SummaryWriter

from tf_splitting import GrowthHistory, count_macs, count_params


class EpochEvents(keras.callbacks.Callback):
    """Writes loss, metrics, MACs, parameters, learning rate and round of every epoch.

    One object lives through the whole job: `fit` runs once per round, each time with
    another model.

    Args:
        folder: where the event file goes.
        history: of the job; knows the round.
    """

    def __init__(self, folder: str | Path, history: GrowthHistory) -> None:
        super().__init__()
        self._writer = SummaryWriter(str(folder))
        self._history = history
        self._cost = {"macs": 0, "params": 0}

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._cost = {
            "macs": count_macs(self.model),
            "params": count_params(self.model),
        }

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        scalars = {
            **(logs or {}),
            **self._cost,
            "learning_rate": float(np.asarray(self.model.optimizer.learning_rate)),
            "round": len(self._history.rounds),
        }
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, epoch + 1, new_style=True)
        self._writer.flush()
