"""Layers whose MACs nobody knows are named, not silently counted as nothing."""

import warnings
from types import SimpleNamespace

import keras
import pytest
from keras import layers, ops

from tf_splitting import count_macs, trace
from tf_splitting.errors import SplittingWarning


class Unknown(layers.Layer):
    """Nobody sees which weight is read."""

    def build(self, shape):
        self.kernels = SimpleNamespace(weight=self.add_weight(shape=(shape[-1], 4)))

    def call(self, x):
        return ops.einsum("abc,cd->ad", x, self.kernels.weight)


def test_a_layer_with_weights_and_unknown_cost_is_named():
    model = keras.Sequential(
        [
            keras.Input((5, 3)),
            Unknown(name="unknown"),
            layers.Dense(2),
        ]
    )
    assert trace(model).uncounted == ("unknown",)
    with pytest.warns(SplittingWarning, match="unknown"):
        assert count_macs(model) == 4 * 2


def test_layers_without_weights_and_known_ones_are_not():
    model = keras.Sequential(
        [
            keras.Input((5, 3)),
            layers.LayerNormalization(),
            layers.Lambda(lambda x: 2 * x),
            layers.Dense(2),
        ]
    )
    assert trace(model).uncounted == ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert count_macs(model) == 5 * 3 * 2


class Read(layers.Layer):
    """A product with a weight that a graph can only look up."""

    def build(self, shape):
        self.dense = layers.Dense(4)
        self.dense.build(shape)
        self.kernel = self.add_weight(shape=(3, 4))

    def call(self, x):
        y = ops.matmul(x, ops.tanh(self.kernel))
        return (
            self.dense(x) + y + ops.einsum("abc,dc->abd", x, ops.transpose(self.kernel))
        )


def test_products_with_weights_that_are_read_count():
    model = keras.Sequential([keras.Input((5, 3)), Read(name="read"), layers.Dense(2)])
    assert trace(model).uncounted == ()
    assert count_macs(model) == 5 * (3 * 3 * 4 + 4 * 2)
