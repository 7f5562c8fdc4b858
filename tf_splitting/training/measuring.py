"""Loss and metrics of a model on a fixed sample."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tf_splitting.data import Sample
from tf_splitting.support import placement_of
from tf_splitting.training.dividing import divide


def measure(model: keras.Model, sample: Sample) -> dict[str, float]:
    """Loss and metrics on the sample, in inference mode.

    The loss is without weight regularizers: a split halves outgoing weights, so
    regularized losses do not compare across it.
    """
    # Not test_on_batch, which forgets the batches before.
    batches = divide(_Batches(sample), placement_of(model))
    logs = model.evaluate(batches, verbose=0, return_dict=True)
    model.reset_metrics()
    measured = {name: float(value) for name, value in logs.items()}
    measured["loss"] -= _regularization(model)
    return measured


class _Batches(keras.utils.PyDataset):
    """The batches of a sample in order."""

    def __init__(self, sample: Sample) -> None:
        super().__init__()
        self._batches = sample.batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        batch = self._batches[index]
        x = keras.tree.map_structure(_with_texts, batch.x)
        if batch.sample_weight is None:
            return x, batch.y
        return x, batch.y, batch.sample_weight


def _with_texts(x: Any) -> Any:
    """A tensor of texts, which Keras takes no array of; anything else as it is."""
    is_text = isinstance(x, np.ndarray) and x.dtype.kind in "OSU"
    return keras.ops.convert_to_tensor(x, "string") if is_text else x


def _regularization(model: keras.Model) -> float:
    return sum(
        float(variable.regularizer(variable))
        for variable in model.trainable_variables
        if variable.regularizer is not None
    )
