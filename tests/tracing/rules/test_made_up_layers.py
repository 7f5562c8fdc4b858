"""Layers nobody has described freeze what they touch: a wrong guess would break them.

Each mixes channels while the shapes look as if it kept them apart. If one were taken
for a channel-wise layer, a split would change the function.
"""

from types import SimpleNamespace

import keras
import nets
import numpy as np
import pytest
from keras import layers, ops

from tf_splitting import SplitPlan, split, trace
from tf_splitting.errors import PlanError

pytestmark = pytest.mark.usefixtures("float64")


class Roll(layers.Layer):
    def call(self, x):
        return ops.roll(x, 1, axis=-1)


class ChannelSoftmax(layers.Layer):
    def call(self, x):
        return ops.softmax(x, axis=-1)


class Tempered(layers.Layer):
    """A softmax with a learned number: its weight belongs to no channel."""

    def build(self, shape):
        self.temperature = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        return ops.softmax(x * self.temperature, axis=-1)


class FoldIntoSpace(layers.Layer):
    """Depth to space and back with other channels on top."""

    def call(self, x):
        size, height, width, channels = ops.shape(x)
        x = ops.reshape(x, (size, height, width * 2, channels // 2))
        return ops.reshape(ops.flip(x, 2), (size, height, width, channels))


class Cumulative(keras.Operation):
    """An operation rather than a layer."""

    def call(self, x):
        return ops.cumsum(x, axis=-1)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


class LocalResponse(layers.BatchNormalization):
    """A subclass of a known layer: it may compute something else, and does."""

    def call(self, x, training=None):
        return super().call(x / (1 + ops.mean(ops.square(x), -1, keepdims=True)))


class ByRow(layers.Layer):
    """A weight for every row, not for channels; what is done then may mix them."""

    def __init__(self, function, **options):
        super().__init__(**options)
        self.function = function

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[1], 1, 1), initializer="ones")

    def call(self, x):
        return self.function(x * self.scale)


class ByChannel(layers.Layer):
    """Nobody sees which weight it reads, and so which channels that goes with."""

    def build(self, shape):
        self.scales = SimpleNamespace(
            weight=self.add_weight(shape=shape[-1:], initializer="ones")
        )

    def call(self, x):
        return x * self.scales.weight


class Mixing(layers.Layer):
    """Its product goes along the channels and leaves as many."""

    def build(self, shape):
        self.table = self.add_weight(shape=(4, 4), initializer="glorot_normal")

    def call(self, x):
        return x + ops.matmul(ops.transpose(self.table), ops.tanh(x))


class OtherWay(layers.Layer):
    """Numbers for the columns, as many as there are channels."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(4,), initializer="random_normal")

    def call(self, x):
        return ops.softmax(x * self.scale[:, None], axis=-1)


MADE_UP = {
    "roll": Roll,
    "softmax": ChannelSoftmax,
    "tempered": Tempered,
    "fold": FoldIntoSpace,
    "operation": lambda: Cumulative(),
    "subclass": LocalResponse,
    "by_channel": ByChannel,
    "mixing": Mixing,
    "other_way": OtherWay,
    "by_row_over_channels": lambda: ByRow(
        lambda x: x / (2 + ops.max(x, -1)[..., None])
    ),
    "by_row_counting_channels": lambda: ByRow(lambda x: x / x.shape[-1]),
    "by_row_then_moved": lambda: ByRow(lambda x: ops.flip(x, -1)),
    "ops_roll": lambda: lambda x: ops.roll(x, 1, axis=-1),
    "ops_flip": lambda: lambda x: ops.flip(x, axis=-1),
    "ops_softmax": lambda: ops.softmax,
    "ops_normalize": lambda: ops.normalize,
    "ops_mean": lambda: lambda x: x - ops.mean(x, axis=-1, keepdims=True),
    "ops_slice": lambda: lambda x: ops.concatenate([x[..., 2:], x[..., :2]], -1),
    "ops_per_channel": lambda: lambda x: x * keras.Variable(np.arange(4.0)),
    "ops_clip_per_channel": lambda: lambda x: ops.clip(x, -1.0, np.arange(4.0)),
    "stopped_inside": lambda: layers.Activation(
        lambda x: x * ops.stop_gradient(ops.sigmoid(x)), name="stopped"
    ),
    "lambda": lambda: layers.Lambda(lambda x: x[..., ::-1], name="lambda"),
    "activation": lambda: layers.Activation(lambda x: ops.cumsum(x, -1)),
}


def around(middle):
    """`first` and `last` on either side of the layer; `aside` goes past it."""
    x = inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(4, 1, activation="tanh", name="first")(x)
    aside = layers.Conv2D(3, 1, activation="tanh", name="aside")(x)
    x = middle(x)
    x = layers.Conv2D(4, 1, activation="silu", name="last")(x)
    x = layers.Concatenate()([x, aside])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


@pytest.mark.parametrize("name", MADE_UP)
def test_they_freeze_what_they_touch_and_nothing_else(name):
    model = nets.randomized(around(MADE_UP[name]()))
    graph = trace(model)
    assert {space.name for space in graph.growable} == {"aside", "last"}
    assert graph.space("first").frozen
    with pytest.raises(PlanError, match="frozen because"):
        split(model, SplitPlan({"first": [0]}))
    grown = split(model, nets.random_plan(graph, share=0.5), epsilon=0.0)
    x = nets.images(model, 3)
    assert nets.difference(nets.outputs(model, x), nets.outputs(grown, x)) < 1e-12


def test_the_reason_names_the_layer_and_its_type():
    graph = trace(around(LocalResponse(name="local")))
    assert graph.space("first").frozen == (
        "nothing is known about 'local' of type LocalResponse, which does with its "
        "weights what cannot be followed"
    )


def test_the_reason_names_what_is_in_the_layer():
    graph = trace(around(Roll(name="turned")))
    assert graph.space("first").frozen == "'turned/roll' acts along the channels"


def test_what_is_behind_two_of_them_is_frozen_too():
    """Channels between two unknown layers belong to both."""
    x = inputs = keras.Input((5,))
    x = Roll()(layers.Dense(4, name="first")(x))
    x = layers.Activation("tanh")(x)
    x = layers.Add()([x, layers.Dense(4, name="tied")(inputs)])
    x = layers.Dense(4, name="last")(Roll()(x))
    model = keras.Model(inputs, layers.Dense(2, name="logits")(x))
    assert [space.name for space in trace(model).growable] == ["last"]
