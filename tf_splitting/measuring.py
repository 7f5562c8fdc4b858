"""Loss and metrics of a model on a fixed sample."""

from __future__ import annotations

import keras
import numpy as np

from tf_splitting.sampling import Sample


def measure(model: keras.Model, sample: Sample) -> dict[str, float]:
    """Loss and metrics on the sample, in inference mode.

    The loss is without weight regularizers: a split halves outgoing weights, so
    regularized losses do not compare across it.
    """
    model.reset_metrics()
    logs: dict[str, float] = {}
    for batch in sample.batches:
        logs = model.test_on_batch(
            batch.x, batch.y, sample_weight=batch.sample_weight, return_dict=True
        )
    model.reset_metrics()
    measured = {name: float(np.asarray(value)) for name, value in logs.items()}
    measured["loss"] -= _regularization(model)
    return measured


def _regularization(model: keras.Model) -> float:
    return sum(
        float(variable.regularizer(variable))
        for variable in model.trainable_variables
        if variable.regularizer is not None
    )
