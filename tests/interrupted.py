"""Jobs that are killed at some moment, and compared with those that were not."""

import keras
import numpy as np


def examples(count=72):
    """Points of three classes, apart enough to learn."""
    generator = np.random.default_rng(0)
    y = generator.integers(0, 3, count)
    x = generator.standard_normal((count, 5)) + 2 * np.eye(5)[y]
    return x.astype("float32"), y


class KillError(Exception):
    """Stands for SIGKILL: nobody handles it."""


class KillAt(keras.callbacks.Callback):
    """Ends the job at its n-th event, counted over all epochs and batches."""

    def __init__(self, at):
        super().__init__()
        self.at, self.events = at, 0

    def _event(self):
        self.events += 1
        if self.events == self.at:
            raise KillError

    def on_train_batch_end(self, batch, logs=None):
        self._event()

    def on_test_batch_end(self, batch, logs=None):
        self._event()

    def on_epoch_end(self, epoch, logs=None):
        self._event()


def timeless(history):
    """A history without the seconds."""
    data = history.to_dict()
    for record in (*data["epochs"], *data["rounds"]):
        del record["seconds"]
    for epoch in data["epochs"]:
        del epoch["measuring"]
    return data


def assert_same_model(one, other):
    """Compares all variables, the optimizer's too, bit by bit."""
    for mine, yours in (
        (one.variables, other.variables),
        (one.optimizer.variables, other.optimizer.variables),
    ):
        for a, b in zip(mine, yours, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)
