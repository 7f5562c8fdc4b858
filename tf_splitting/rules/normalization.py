"""Normalization per channel."""

from __future__ import annotations

import keras

from tf_splitting.rules.registry import register
from tf_splitting.tracer import Signal, Tracer


@register(keras.layers.BatchNormalization)
def _batch_normalization(
    tracer: Tracer, layer: keras.layers.BatchNormalization, x: Signal
) -> Signal | tuple[Signal, ...]:
    if layer.axis % len(x.shape) != x.axis % len(x.shape):
        return tracer.opaque(
            f"{tracer.call.path!r} normalizes an axis that is not the channels", x
        )
    for variable in layer.weights:
        tracer.carry(variable, 0, x)
    return tracer.channelwise(tracer.call.run, x)


@register(keras.layers.LayerNormalization, keras.layers.GroupNormalization)
def _across_channels(
    tracer: Tracer, layer: keras.layers.Layer, x: Signal
) -> tuple[Signal, ...]:
    return tracer.opaque(f"{tracer.call.path!r} normalizes over the channels", x)
