"""Raw operations that move, add and drop axes, and leave what lies on them alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from tf_splitting.tracing.keras_internals import operation_types
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.tracer import Signal, Tracer


@register(*operation_types(lambda x: ops.expand_dims(x, 1)))
def _expand_dims(
    tracer: Tracer, operation: Any, x: Signal
) -> Signal | tuple[Signal, ...]:
    rank = len(tracer.output_shape)
    new = np.atleast_1d(operation.axis) % rank
    if 0 in new:
        return tracer.opaque(f"{tracer.call.path!r} moves the batch axis", x)
    kept = [i for i in range(rank) if i not in new]
    run, place = tracer.call.run, kept[x.axis % len(x.shape)]
    return tracer.channelwise(run, x, channel_axis=place, linear_part=run)


@register(*operation_types(lambda x: ops.transpose(x, (0, 1, 3, 2))))
def _transpose(
    tracer: Tracer, operation: Any, x: Signal
) -> Signal | tuple[Signal, ...]:
    axes = operation.axes or tuple(reversed(range(len(x.shape))))
    return _reordered(tracer, x, axes)


@register(*operation_types(lambda x: ops.moveaxis(x, 1, 2)))
def _moveaxis(tracer: Tracer, operation: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    axes = np.moveaxis(_numbered(x), operation.source, operation.destination).shape
    return _reordered(tracer, x, axes)


@register(*operation_types(lambda x: ops.swapaxes(x, 1, 2)))
def _swapaxes(tracer: Tracer, operation: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    axes = np.swapaxes(_numbered(x), operation.axis1, operation.axis2).shape
    return _reordered(tracer, x, axes)


def _numbered(x: Signal) -> np.ndarray:
    """An empty array each of whose axes is as long as its own number."""
    return np.empty(range(len(x.shape)))


def _reordered(
    tracer: Tracer, x: Signal, axes: tuple[int, ...]
) -> Signal | tuple[Signal, ...]:
    rank = len(x.shape)
    order = [axis % rank for axis in axes]
    if order[0] != 0:
        return tracer.opaque(f"{tracer.call.path!r} moves the batch axis", x)
    run, place = tracer.call.run, order.index(x.axis % rank)
    return tracer.channelwise(run, x, channel_axis=place, linear_part=run)


@register(*operation_types(lambda x: ops.squeeze(x, 1), shape=(None, 1, 2)))
def _squeeze(tracer: Tracer, operation: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    rank = len(x.shape)
    every = range(rank) if operation.axis is None else np.atleast_1d(operation.axis)
    gone = [i % rank for i in every if x.shape[i] == 1]
    place = x.axis % rank
    if place in gone or 0 in gone:
        return tracer.opaque(f"{tracer.call.path!r} squeezes the channels away", x)
    run = tracer.call.run
    axis = place - sum(i < place for i in gone)
    return tracer.channelwise(run, x, channel_axis=axis, linear_part=run)
