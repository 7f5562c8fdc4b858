"""Small blocks of architectures whose neurons are more than one channel.

Groups of a convolution, heads of attention, two layers that gate each other.
"""

import composites
import keras
import nets
from keras import layers, ops


def _ended(inputs, x):
    pool = {3: layers.GlobalAveragePooling1D, 4: layers.GlobalAveragePooling2D}
    x = pool[len(x.shape)]()(x)
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


def grouped():
    """Three groups: three channels come in to each, two go out."""
    x = inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(9, 1, use_bias=False, name="narrow")(x)
    x = layers.BatchNormalization(name="narrow_bn")(x)
    x = layers.Activation("silu")(x)
    x = layers.Conv2D(6, 3, groups=3, use_bias=False, name="groups")(x)
    x = layers.BatchNormalization(name="groups_bn")(x)
    x = layers.Activation("tanh")(x)
    return _ended(inputs, layers.Conv2D(2, 1, activation="silu", name="wide")(x))


def _encoder(attention):
    """Attention and a hidden layer, each on a normalized stream."""
    inputs = keras.Input((5, 2))
    x = layers.Dense(4, activation="tanh", name="stem")(inputs)
    y = layers.LayerNormalization(name="before_attention")(x)
    x = layers.Add()([x, attention(y, y)])
    y = layers.LayerNormalization(name="before_hidden")(x)
    y = layers.Dense(5, activation="gelu", name="hidden")(y)
    x = layers.Add()([x, layers.Dense(4, name="back")(y)])
    return _ended(inputs, x)


def transformer():
    return _encoder(layers.MultiHeadAttention(3, 2, name="attention"))


def grouped_queries():
    return _encoder(layers.GroupQueryAttention(2, 4, 2, name="attention"))


def gated_mlp():
    """SwiGLU: a hidden neuron is one of `gate` and one of `up`."""
    x = inputs = keras.Input((5, 3))
    x = layers.Dense(4, activation="tanh", name="stem")(x)
    gate = layers.Dense(5, use_bias=False, name="gate")(x)
    up = layers.Dense(5, use_bias=False, name="up")(x)
    x = layers.Multiply()([layers.Activation("silu")(gate), up])
    return _ended(inputs, layers.Dense(4, activation="tanh", name="down")(x))


def fused_gate():
    """The same with one layer for both, cut in halves."""
    x = inputs = keras.Input((5, 3))
    gate, up = ops.split(layers.Dense(10, name="both")(x), 2, axis=-1)
    x = ops.silu(gate) * up
    return _ended(inputs, layers.Dense(4, activation="tanh", name="down")(x))


def cut():
    """Parts of one layer's outputs, of widths of their own."""
    x = inputs = keras.Input((5, 3))
    x = layers.Dense(9, name="parts")(x)
    a, b, c = ops.split(x, [2, 5], axis=-1)
    x = ops.concatenate([ops.tanh(c), b * ops.sigmoid(b), a], axis=-1)
    return _ended(inputs, x)


# Name: (model, its spaces that may grow and their widths).
ALL = {
    "grouped": (grouped, {"narrow": 3, "wide": 2}),
    "transformer": (transformer, {"attention/query": 3, "hidden": 5}),
    "grouped_queries": (grouped_queries, {"attention/value": 2, "hidden": 5}),
    "gated_mlp": (gated_mlp, {"stem": 4, "gate": 5, "down": 4}),
    "fused_gate": (fused_gate, {"both": 5, "down": 4}),
    "cut": (cut, {"parts": 2, "parts:2": 3, "parts:3": 4}),
    "opened": (composites.residual, {"stem": 4, "block/conv": 5}),
    "tokens": (composites.tokens, {"before": 4, "tokens/up": 5}),
    "dotted": (composites.dotted, {"before": 2, "dotted/up": 5}),
    "tiled": (composites.tiled, {"before": 4, "tiled/up": 5}),
    "linear": (composites.linear, {"first/w": 5, "second/w": 4}),
    "summed": (composites.summed, {"heads/w": 2, "out": 4}),
}
