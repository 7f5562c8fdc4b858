"""Layers of a user's own join by `trace_channels` and are scored and split rightly."""

import importlib
from types import SimpleNamespace

import brute
import keras
import nets
import numpy as np
import pytest
from keras import layers, ops

from tf_splitting import Exact, count_macs, estimate, split, trace
from tf_splitting.tracing.rules import registry
from tf_splitting.tracing.rules.activations import is_elementwise, register_activation
from tf_splitting.tracing.rules.registry import register

pytestmark = pytest.mark.usefixtures("float64")


class Gate(layers.Layer):
    """Channel-wise: every channel times a learned gate of its own."""

    def build(self, shape):
        self.gate = self.add_weight(shape=(shape[-1],), name="gate")

    def call(self, x):
        return x * ops.sigmoid(self.gate)

    def trace_channels(self, tracer, x):
        tracer.carry(self.gate, 0, x)
        return tracer.channelwise(tracer.call.run, x)


class Project(layers.Layer):
    """A producer whose kernel lies the other way round: [outputs, inputs]."""

    def __init__(self, size, **options):
        super().__init__(**options)
        self.size = size

    def build(self, shape):
        self.matrix = self.add_weight(shape=(self.size, shape[-1]), name="matrix")

    def call(self, x):
        return ops.tanh(ops.matmul(x, ops.transpose(self.matrix)))

    def get_config(self):
        return {**super().get_config(), "size": self.size}

    def trace_channels(self, tracer, x):
        def linear(x, kernel):
            return ops.matmul(x, ops.transpose(kernel))

        u = tracer.linear(x, self.matrix, linear, in_axis=1, out_axis=0)
        tracer.config("size", u)
        return tracer.channelwise(ops.tanh, u)


def own_net():
    x = inputs = keras.Input((5,))
    x = layers.Dense(4, activation="silu", name="first")(x)
    x = Gate(name="gate")(x)
    x = Project(3, name="project")(x)
    model = keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))
    return nets.compiled(nets.randomized(model))


def test_they_join_the_graph():
    graph = trace(own_net())
    assert [s.name for s in graph.growable] == ["first", "project"]
    assert graph.space("first").consumers == ("project",)
    assert count_macs(own_net()) == 5 * 4 + 4 * 3 + 3 * nets.CLASSES


def test_they_split_without_changing_the_function():
    model = own_net()
    grown = split(model, nets.random_plan(trace(model), share=0.5), epsilon=0.0)
    x = nets.images(model)
    assert nets.difference(nets.outputs(model, x), nets.outputs(grown, x)) < 1e-12
    assert grown.get_layer("project").matrix.shape == (5, 7)
    assert grown.get_layer("gate").gate.shape == (7,)


def test_they_are_scored_as_brute_force_scores_them():
    model = own_net()
    data = nets.data(model)
    scores = estimate(model, data, estimator=Exact(), epsilon=brute.STEP, verbose=0)
    for space, score in scores.items():
        for neuron, index in enumerate(score.splitting_index):
            found = brute.curvature(model, data, {space: [neuron]}, scores)
            assert found == pytest.approx(index, rel=1e-4, abs=1e-7)


def test_a_rule_can_be_registered_for_a_layer_of_others(monkeypatch):
    class Doubled(layers.Layer):
        def build(self, shape):
            self.factors = SimpleNamespace(
                weight=self.add_weight(shape=shape[-1:], initializer="ones")
            )

        def call(self, x):
            return 2 * self.factors.weight * x

    def net():
        x = inputs = keras.Input((5,))
        x = Doubled(name="doubled")(layers.Dense(4, name="first")(x))
        return keras.Model(inputs, layers.Dense(2)(x))

    assert "'doubled' of type Doubled" in trace(net()).space("first").frozen
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))

    @register(Doubled)
    def _doubled(tracer, layer, x):
        tracer.carry(layer.factors.weight, 0, x)
        return tracer.channelwise(tracer.call.run, x)

    assert trace(net()).space("first").frozen is None


def test_an_activation_can_be_registered():
    def squared(x):
        # Whoever reads its operations finds one that is not known.
        return ops.flip(ops.flip(ops.square(ops.relu(x)), -1), -1)

    assert not is_elementwise(squared)
    assert register_activation(squared) is squared
    assert is_elementwise(squared)
    assert np.allclose(squared(np.array([-1.0, 2.0])), [0, 4])


def test_functions_of_the_backend_are_known():
    library = {"tensorflow": "tensorflow.nn", "jax": "jax.nn"}[keras.backend.backend()]
    functions = importlib.import_module(library)
    assert all(is_elementwise(getattr(functions, name)) for name in ("relu", "gelu"))
    assert not is_elementwise(functions.softmax)


def of_the_width(x):
    return x * x.shape[-1]


@pytest.mark.parametrize(
    ("function", "elementwise"),
    [
        (lambda x: 0.5 * x * (1 + ops.erf(x / 2**0.5)), True),
        (lambda x: ops.where(x > 0, x, ops.exp(x) - 1), True),
        (lambda x: ops.square(ops.relu(x)) + ops.sigmoid(x) * x, True),
        (lambda x: ops.minimum(ops.maximum(x, 0.0), 6.0), True),
        (lambda x: x, True),
        (lambda x: ops.softmax(x), False),
        (lambda x: x - ops.mean(x, axis=-1, keepdims=True), False),
        (lambda x: x / (1 + ops.max(x)), False),
        (lambda x: x * np.arange(3.0), False),
        (lambda x: x + keras.random.normal(()), False),
        (lambda x: np.tanh(x), False),
        (of_the_width, False),
    ],
)
def test_functions_are_read(function, elementwise):
    assert is_elementwise(function) == elementwise
