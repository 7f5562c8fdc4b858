"""Normalizations folded into kernels compute the same."""

import keras
import nets
import numpy as np
import pytest
from keras import layers

from tf_splitting import trace
from tf_splitting.estimating.product.folding import folded

pytestmark = pytest.mark.usefixtures("float64")


def run(graph, steps, inputs):
    kernels = {weight.name: weight.variable for weight in graph.weights}
    values = dict(zip(graph.inputs, inputs, strict=True))
    for step in steps:
        given = [values[i] for i in step.inputs]
        more = [kernels[step.kernel]] if step.kind == "linear" else []
        values.update(zip(step.outputs, [step.run(*given, *more)], strict=True))
    return [np.asarray(values[i]) for i in graph.outputs]


def changed(before, after):
    return [b.layer for b, a in zip(before, after, strict=True) if a.run is not b.run]


@pytest.mark.parametrize("name", ["conv_bn", "depthwise", "residual", "bottleneck"])
def test_the_model_computes_the_same(name):
    model = nets.ready(name)
    graph = trace(model)
    steps = folded(graph.steps, graph.outputs)
    x = nets.images(model, 4)
    before, after = run(graph, graph.steps, [x]), run(graph, steps, [x])
    np.testing.assert_allclose(after[0], before[0], rtol=1e-10)
    assert len(changed(graph.steps, steps)) >= 2


def test_what_others_read_stays_as_it_is():
    inputs = keras.Input((6,))
    x = layers.Dense(4, use_bias=False, name="read_twice")(inputs)
    x = layers.Add()([layers.BatchNormalization(name="one")(x), x])
    x = layers.Dense(3, use_bias=False, name="output")(x)
    outputs = [x, layers.BatchNormalization(name="two")(x)]
    graph = trace(keras.Model(inputs, outputs))
    assert changed(graph.steps, folded(graph.steps, graph.outputs)) == []
