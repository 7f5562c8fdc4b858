"""TensorBoard events of a job.

Written through `tf.summary.write`, because `tf.summary.scalar` needs the tensorboard
package, which only those who look at the events have to have.
"""

from pathlib import Path

import keras
import tensorflow as tf
from tensorflow.core.framework.summary_pb2 import SummaryMetadata

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
        self._writer = tf.summary.create_file_writer(str(folder))
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
            "learning_rate": float(self.model.optimizer.learning_rate),
            "round": len(self._history.rounds),
        }
        with self._writer.as_default(step=epoch + 1):
            for name, value in scalars.items():
                _write_scalar(name, value)
        self._writer.flush()


def _write_scalar(name: str, value: float) -> None:
    plugin = SummaryMetadata.PluginData(plugin_name="scalars")
    metadata = SummaryMetadata(plugin_data=plugin, data_class="DATA_CLASS_SCALAR")
    tf.summary.write(name, tf.constant(value, tf.float32), metadata=metadata)
