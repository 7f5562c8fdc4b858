"""Losses and metrics of a sample are those of all its batches."""

import keras
import nets
import numpy as np
import pytest

from tf_splitting.data.sampling import draw_sample
from tf_splitting.training.measuring import measure


def test_all_batches_count():
    model = nets.compiled(nets.randomized(nets.dense()), metrics=["accuracy"])
    x, y = nets.data(model)
    found = measure(model, draw_sample((x, y), size=16, batch_size=5))
    assert found["loss"] == pytest.approx(nets.loss_of(model, x, y), rel=1e-5)
    right = nets.outputs(model, x).argmax(1) == y.argmax(1)
    assert found["accuracy"] == pytest.approx(right.mean())


def test_regularizers_do_not_count():
    inputs = keras.Input((5,))
    x = keras.layers.Dense(nets.CLASSES, kernel_regularizer="l2")(inputs)
    model = nets.compiled(keras.Model(inputs, x))
    x, y = nets.data(model)
    found = measure(model, draw_sample((x, y), size=16, batch_size=5))
    assert found["loss"] == pytest.approx(nets.loss_of(model, x, y), rel=1e-5)


def test_sample_weights_and_several_inputs_count():
    model = nets.ready("shared")
    (left, right), y = nets.data(model)
    weight = np.linspace(0, 2, 16)
    data = ({"left": left, "right": right}, y, weight)
    found = measure(model, draw_sample(data, size=16, batch_size=16))
    expected = nets.loss_of(model, [left, right], y, weight)
    assert found["loss"] == pytest.approx(expected, rel=1e-5)


def test_metrics_are_left_clean():
    model = nets.compiled(nets.dense(), metrics=["accuracy"])
    measure(model, draw_sample(nets.data(model), size=16))
    results = keras.tree.flatten([metric.result() for metric in model.metrics])
    assert [float(result) for result in results] == [0, 0]
