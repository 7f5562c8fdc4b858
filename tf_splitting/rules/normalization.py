"""Normalization: per channel it grows, across channels it freezes."""

from __future__ import annotations

import keras

from tf_splitting.rules.registry import register
from tf_splitting.tracer import Signal, Tracer


@register(keras.layers.BatchNormalization, mask=True)
def _batch_normalization(
    tracer: Tracer, layer: keras.layers.BatchNormalization, given: Signal, *mask: Signal
) -> Signal | tuple[Signal, ...]:
    x = tracer.along(given, layer.axis % len(given.shape))
    if x is None:
        return tracer.opaque(
            f"{tracer.call.path!r} normalizes an axis that is not the channels",
            given,
            *mask,
        )
    for variable in layer.weights:
        tracer.carry(variable, 0, x)
    return tracer.channelwise(tracer.call.run, x, sides=mask)


@register(
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
    keras.layers.RMSNormalization,
    keras.layers.UnitNormalization,
)
def _across_channels(
    tracer: Tracer, layer: keras.layers.Layer, x: Signal
) -> tuple[Signal, ...]:
    return tracer.opaque(f"{tracer.call.path!r} normalizes over the channels", x)


@register(keras.layers.Normalization)
def _of_data(
    tracer: Tracer, layer: keras.layers.Normalization, x: Signal
) -> tuple[Signal, ...]:
    return tracer.opaque(
        f"{tracer.call.path!r} normalizes by statistics it was adapted to", x
    )
