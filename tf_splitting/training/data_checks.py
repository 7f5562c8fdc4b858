"""Checks of data against a model, before and while it trains."""

from __future__ import annotations

import math

import keras
import numpy as np

from tf_splitting.data import Batch, Sample
from tf_splitting.errors import DataError, NonFiniteLossError
from tf_splitting.estimating import check_labels, check_targets, flat_inputs
from tf_splitting.training.measuring import measure


def check_data(model: keras.Model, sample: Sample) -> dict[str, float]:
    """Raises unless the sample fits the model. Returns loss and metrics on it.

    Raises:
        DataError: shapes or labels do not fit.
        NonFiniteLossError: the loss is NaN or infinite.
    """
    for batch in sample.batches:
        check_batch(model, batch, "the estimation sample")
    check_targets(model, sample)
    return check_loss(measure(model, sample))


def check_batch(model: keras.Model, batch: Batch, where: str) -> None:
    """Raises unless inputs and targets are finite and labels are ones of the model's.

    Args:
        model: what they are for.
        batch: NumPy arrays.
        where: which examples they are, for the message.

    Raises:
        DataError: they are not.
    """
    for what, arrays in (
        ("inputs", flat_inputs(model, batch.x)),
        ("targets", keras.tree.flatten(batch.y)),
    ):
        for array in map(np.asarray, arrays):
            if array.dtype.kind not in "fc" or np.isfinite(array).all():
                continue
            bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
            raise DataError(
                f"The {what} hold NaN or infinite values: {bad.sum()} of {len(bad)} "
                f"examples in {where}, the first at {bad.argmax()}. Clean the data."
            )
    check_labels(model, batch.y, where)


def check_loss(measured: dict[str, float]) -> dict[str, float]:
    """Raises unless a measured loss is finite. Returns what was measured.

    Raises:
        NonFiniteLossError: it is NaN or infinite.
    """
    if not math.isfinite(measured["loss"]):
        raise NonFiniteLossError(
            f"The loss on the estimation sample is {measured['loss']}. Check the data "
            "for extreme values, the learning rate, and the loss for the right "
            "from_logits."
        )
    return measured
