"""`channels_first`: TensorFlow cannot run it on a CPU, but weights have no layout.

A network and its twin with channels last have the same weights in the same shapes, so
their splits must agree; the twin's function is checked elsewhere.
"""

import keras
import nets
import numpy as np
from keras import layers

from tf_splitting import count_macs, split, trace


def network(data_format, size=6):
    first = data_format == "channels_first"
    axis = 1 if first else -1
    options = {"data_format": data_format}
    x = inputs = keras.Input((2, size, size) if first else (size, size, 2))
    x = layers.Conv2D(4, 3, padding="same", name="stem", **options)(x)
    x = layers.BatchNormalization(axis=axis, name="bn")(x)
    x = layers.PReLU(shared_axes=[2, 3] if first else [1, 2], name="prelu")(x)
    x = layers.Conv2D(4, 3, padding="same", groups=2, name="groups", **options)(x)
    x = layers.MaxPooling2D(2, **options)(x)
    gate = layers.GlobalAveragePooling2D(**options)(x)
    gate = layers.Reshape((4, 1, 1) if first else (1, 1, 4))(gate)
    gate = layers.Conv2D(4, 1, activation="sigmoid", name="gate", **options)(gate)
    x = layers.Multiply()([x, gate])
    y = layers.SeparableConv2D(3, 3, padding="same", name="separable", **options)(x)
    z = layers.DepthwiseConv2D(3, padding="same", name="depthwise", **options)(x)
    x = layers.Concatenate(axis=axis)([y, z])
    x = layers.ZeroPadding2D(1, **options)(x)
    x = layers.Conv2DTranspose(3, 2, name="up", **options)(x)
    x = layers.Flatten(data_format=data_format)(x)
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


def test_spaces_costs_and_weights_are_those_of_the_twin():
    first, last = network("channels_first"), network("channels_last")
    nets.randomized(last)
    # Slopes and flattened positions aside, nothing depends on the layout.
    first.set_weights([w.reshape(v.shape) for v, w in zip_weights(first, last)])
    graph, twin = trace(first), trace(last)
    assert graph.growable == twin.growable
    assert len(graph.growable) == 3
    assert count_macs(first) == count_macs(last)
    plan = nets.random_plan(graph, share=0.5)
    a, b = (split(model, plan, epsilon=0.0) for model in (first, last))
    for x, y in zip_weights(a, b):
        np.testing.assert_array_equal(x.numpy().reshape(y.shape), y)


def zip_weights(a, b):
    """Variables of one model with the values of the other."""
    return [(v, w.numpy()) for v, w in zip(a.weights, b.weights, strict=True)]
