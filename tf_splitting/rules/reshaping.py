"""Flatten and Reshape, as far as every channel stays in one piece."""

from __future__ import annotations

import math

import keras

from tf_splitting.rules.registry import register
from tf_splitting.tracer import Signal, Tracer


@register(keras.layers.Flatten)
def _flatten(
    tracer: Tracer, layer: keras.layers.Flatten, x: Signal
) -> Signal | tuple[Signal, ...]:
    if x.axis != -1 or layer.data_format != "channels_last":
        return tracer.opaque(f"{tracer.call.path!r} flattens channels_first data", x)
    return _to_vector(tracer, x)


@register(keras.layers.Reshape)
def _reshape(
    tracer: Tracer, layer: keras.layers.Reshape, x: Signal
) -> Signal | tuple[Signal, ...]:
    shape = tracer.output_shape
    if x.axis == -1 and shape[-1] == x.width:
        # The last axis runs fastest, so channel i stays channel i however the
        # positions in front of it are arranged.
        z = tracer.channelwise(tracer.call.run, x)
        if layer.target_shape[-1] != -1:
            tracer.config("target_shape", x, index=len(layer.target_shape) - 1)
        return z
    if x.axis == -1 and len(shape) == 2:
        z = _to_vector(tracer, x)
        if isinstance(z, Signal) and layer.target_shape[-1] != -1:
            tracer.config("target_shape", z, index=0)
        return z
    return tracer.opaque(f"{tracer.call.path!r} folds channels into other axes", x)


def _to_vector(tracer: Tracer, x: Signal) -> Signal | tuple[Signal, ...]:
    positions = x.shape[1:-1]
    if None in positions:
        return tracer.opaque(
            f"{tracer.call.path!r} flattens an unknown number of positions", x
        )
    return tracer.tile(tracer.call.run, x, math.prod(positions))
