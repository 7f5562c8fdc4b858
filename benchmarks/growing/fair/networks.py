"""The networks of the comparisons: seeds of several shapes, and what they scale to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import layers

import tf_splitting

CLASSES = 20
SHAPE = (32, 32, 3)


@dataclass(frozen=True)
class Network:
    """A kind of network.

    Attributes:
        name: of the kind.
        seeds: widths of the convolutions that mix channels, by the seed's shape; of a
            transformer, heads and hidden width of one block after the other.
        target_macs: that all runs end at.
        batch_size: that it is trained with.
    """

    name: str
    seeds: dict[str, tuple[int, ...]]
    target_macs: float
    batch_size: int

    def build(self, widths: Sequence[int]) -> keras.Model:
        """A model of these widths, not compiled."""
        if self.name == "paper":
            return tf_splitting.models.mobilenet_v1(
                SHAPE, CLASSES, widths=widths, dropout=0.0, bn_momentum=0.9
            )
        inputs = keras.Input(SHAPE)
        x = layers.Rescaling(1 / 127.5, -1)(inputs)
        x = _BODIES[self.name](x, widths)
        x = layers.GlobalAveragePooling2D()(x)
        return keras.Model(inputs, layers.Dense(CLASSES)(x), name=self.name)

    def macs(self, widths: Sequence[int]) -> int:
        """Multiply-accumulates of a model of these widths."""
        return tf_splitting.count_macs(self.build(widths))

    def scaled(self, proportions: Sequence[float], size: float = 1.0) -> list[int]:
        """Widths of these proportions, as large as this share of the target allows."""
        low, high = 0.0, 64.0
        for _ in range(24):
            middle = (low + high) / 2
            within = self.macs(_times(proportions, middle)) <= size * self.target_macs
            low, high = (middle, high) if within else (low, middle)
        return _times(proportions, low)


def widths_of(model: keras.Model) -> list[int]:
    """The widths that a model was built of."""
    if model.name == "transformer":
        inside = [layer for layer in model.layers if layer.name.startswith("grown_")]
        return [getattr(x, "num_heads", None) or x.units for x in inside]
    return [layer.filters for layer in model.layers if type(layer) is layers.Conv2D]


def _times(proportions: Sequence[float], factor: float) -> list[int]:
    return [max(1, round(width * factor)) for width in proportions]


def _separable(x: keras.KerasTensor, widths: Sequence[int]) -> keras.KerasTensor:
    """MobileNetV1 cut to eight convolutions.

    The full one has 14, and learns too little in as few epochs as run here.
    """
    strides = (2, 1, 2, 1, 2, 1, 1, 1)
    for number, (width, stride) in enumerate(zip(widths, strides, strict=True)):
        if number:
            x = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)(x)
            x = _activated(x, "swish")
        size, stride = (1, 1) if number else (3, stride)
        x = layers.Conv2D(width, size, stride, padding="same", use_bias=False)(x)
        x = _activated(x, "swish")
    return x


def _pairs(x: keras.KerasTensor, widths: Sequence[int]) -> keras.KerasTensor:
    """Pairs of 3x3 convolutions between poolings, as Simonyan and Zisserman's VGG."""
    for number, width in enumerate(widths):
        if number and number % 2 == 0:
            x = layers.MaxPooling2D()(x)
        x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = _activated(x, "relu")
    return x


def _blocks(x: keras.KerasTensor, widths: Sequence[int]) -> keras.KerasTensor:
    """Dosovitskiy et al. (2021)'s vision transformer, on patches of 4 x 4 pixels.

    Positions come from a depthwise convolution, as in Chu et al. (2023).
    """
    x = layers.Conv2D(64, 4, 4)(x)
    x = layers.Add()([x, layers.DepthwiseConv2D(3, padding="same")(x)])
    x = layers.Reshape((64, 64))(x)
    for n, (heads, hidden) in enumerate(zip(widths[::2], widths[1::2], strict=True)):
        y = layers.LayerNormalization()(x)
        attention = layers.MultiHeadAttention(heads, 16, name=f"grown_heads_{n}")
        x = layers.Add()([x, attention(y, y)])
        y = layers.LayerNormalization()(x)
        y = layers.Dense(hidden, "gelu", name=f"grown_hidden_{n}")(y)
        x = layers.Add()([x, layers.Dense(64)(y)])
    return layers.Reshape((8, 8, 64))(layers.LayerNormalization()(x))


def _activated(x: keras.KerasTensor, activation: str) -> keras.KerasTensor:
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.Activation(activation)(x)


_BODIES = {"eight": _separable, "vgg": _pairs, "transformer": _blocks}
NETWORKS = {
    network.name: network
    for network in (
        Network(
            "eight",
            {
                # That of the first benchmark: wider behind, as is usual.
                "tapered": (8, 8, 12, 16, 24, 24, 32, 32),
                "flat": (12,) * 8,
                "front": (24, 12, 12, 12, 12, 12, 6, 6),
                "behind": (4, 4, 6, 8, 16, 24, 48, 64),
            },
            target_macs=1.5e6,
            batch_size=64,
        ),
        # All of MobileNetV1, from the paper's seed for CIFAR-100.
        Network(
            "paper",
            {"tapered": (8, 8, 8, 8, 16, 16, *[24] * 6, 32, 32)},
            target_macs=4.4e6,
            batch_size=64,
        ),
        Network(
            "vgg",
            {"tapered": (8, 8, 16, 16, 32, 32), "flat": (12,) * 6},
            target_macs=21e6,
            batch_size=128,
        ),
        Network(
            "transformer", {"tapered": (2, 32) * 4}, target_macs=17e6, batch_size=128
        ),
    )
}
