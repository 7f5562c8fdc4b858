"""Checks that a sample's targets fit a model and its loss, before any product is taken.

Keras and TensorFlow raise errors of many kinds for targets that do not, in their words
rather than the user's.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tf_splitting.data import Sample
from tf_splitting.errors import DataError
from tf_splitting.estimating.problem import flat_inputs, loss_function
from tf_splitting.estimating.product.gradients import refusals

_SPARSE = ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy")


def check_targets(model: keras.Model, sample: Sample, loss: Any = None) -> None:
    """Raises unless the loss of a sample can be computed.

    Args:
        model: compiled, unless `loss` is given.
        sample: all labels of a sparse loss are looked at, and the loss of the first
            batch is computed.
        loss: as for `estimate`.

    Raises:
        DataError: inputs or targets do not fit the model.
    """
    for batch in sample.batches:
        check_labels(model, batch.y, "the sample", loss)
    batch = sample.batches[0]
    flat_inputs(model, batch.x)
    outputs = model(batch.x, training=False)
    function = loss_function(model, loss)
    flat = keras.tree.flatten(outputs)
    try:
        function(batch.x, batch.y, flat, batch.sample_weight)
    except refusals() as error:
        shapes = keras.tree.map_structure(np.shape, batch.y)
        expected = keras.tree.map_structure(lambda y: tuple(y.shape), outputs)
        raise DataError(
            f"The loss cannot be computed: targets have shape {shapes}, the model's "
            f"output {expected}. Give targets that fit the loss. It says: {error}"
        ) from error


def check_labels(model: keras.Model, labels: Any, where: str, loss: Any = None) -> None:
    """Raises unless labels of a sparse loss are ones of the model's classes.

    Nothing is asked of other losses' targets, or of models with several outputs.

    Args:
        model: its output's last axis is that of the classes.
        labels: class numbers.
        where: which they are, for the message.
        loss: default: the model's.

    Raises:
        DataError: they are not.
    """
    used = model.loss if loss is None else loss
    name = used if isinstance(used, str) else type(used).__name__
    if name not in _SPARSE or len(model.outputs) != 1:
        return
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "biuf":
        raise DataError(
            f"Got labels of type {getattr(labels, 'dtype', type(labels).__name__)}; "
            "expected an array of class numbers. Number the classes from 0."
        )
    ignored = getattr(used, "ignore_class", None)
    classes = model.outputs[0].shape[-1]
    labels = labels[labels != ignored]
    if not labels.size:
        return
    low, high = labels.min(), labels.max()
    # Written so that NaN fails too.
    if not (low >= 0 and high < classes):
        raise DataError(
            f"The labels in {where} run from {low} to {high}; the model has {classes} "
            f"outputs, so they must lie in 0..{classes - 1}. Number the classes from "
            "0, or use a model with more outputs."
        )
