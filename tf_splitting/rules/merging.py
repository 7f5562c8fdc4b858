"""Layers that merge several tensors."""

from __future__ import annotations

import keras

from tf_splitting.rules.registry import register
from tf_splitting.tracer import Signal, Tracer


@register(
    keras.layers.Add,
    keras.layers.Subtract,
    keras.layers.Multiply,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
)
def _elementwise(
    tracer: Tracer, layer: keras.layers.Layer, *xs: Signal
) -> Signal | tuple[Signal, ...]:
    if len({(len(x.shape), x.axis) for x in xs}) > 1:
        return tracer.opaque(f"{tracer.call.path!r} merges tensors of other ranks", *xs)
    return tracer.channelwise(tracer.call.run, *xs)


@register(keras.layers.Concatenate)
def _concatenate(
    tracer: Tracer, layer: keras.layers.Concatenate, *xs: Signal
) -> Signal | tuple[Signal, ...]:
    if len({(len(x.shape), x.axis) for x in xs}) > 1:
        return tracer.opaque(f"{tracer.call.path!r} joins tensors of other ranks", *xs)
    rank = len(xs[0].shape)
    if layer.axis % rank == xs[0].axis % rank:
        return tracer.join(tracer.call.run, *xs)
    return tracer.channelwise(tracer.call.run, *xs)
