"""Normalization: per channel it grows, across channels it freezes."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.tracer import Signal, Tracer


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
    for name, used in {
        "gamma": layer.scale,
        "beta": layer.center,
        "moving_mean": True,
        "moving_variance": True,
    }.items():
        if used:
            initial = getattr(layer, f"{name}_initializer")
            tracer.carry(getattr(layer, name), 0, x, initial=initial)
    shape = [1] * len(x.shape)
    shape[x.axis] = -1

    def ready(values: Any) -> Any:
        return ops.cast(ops.reshape(values, shape), layer.compute_dtype)

    def scale() -> Any:
        factor = ops.rsqrt(layer.moving_variance + layer.epsilon)
        return factor * layer.gamma if layer.scale else factor

    def shift() -> Any:
        centered = -layer.moving_mean * scale()
        return ready(centered + layer.beta if layer.center else centered)

    def factor() -> Any:
        return ready(scale())

    return tracer.channelwise(
        tracer.call.run,
        x,
        sides=mask,
        linear_part=lambda change, *mask: change * factor(),
        factor=factor,
        shift=shift,
    )


@register(keras.layers.GroupNormalization)
def _group_normalization(
    tracer: Tracer, layer: keras.layers.GroupNormalization, given: Signal
) -> Signal | tuple[Signal, ...]:
    """With a group for each channel, it normalizes each over positions."""
    x = tracer.along(given, layer.axis % len(given.shape))
    if x is None or layer.groups != x.width:
        return _across_channels(tracer, layer, given)
    for name, used in {"gamma": layer.scale, "beta": layer.center}.items():
        if used:
            initial = getattr(layer, f"{name}_initializer")
            tracer.carry(getattr(layer, name), 0, x, initial=initial)
    tracer.config("groups", x)
    return tracer.channelwise(tracer.call.run, x)


@register(
    keras.layers.LayerNormalization,
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
