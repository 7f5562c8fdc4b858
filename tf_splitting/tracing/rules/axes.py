"""Raw operations that move, add and drop axes, and leave what lies on them alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops

from tf_splitting.tracing.keras_internals import operation_types
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.tracer import Signal, Tracer


@register(*operation_types(lambda x: ops.expand_dims(x, 1)), moved_batch=True)
def _expand_dims(tracer: Tracer, operation: Any, x: Signal) -> Signal:
    rank = len(tracer.output_shape)
    new = np.atleast_1d(operation.axis) % rank
    return moved(tracer, x, [i for i in range(rank) if i not in new])


@register(*operation_types(lambda x: ops.transpose(x, (0, 1, 3, 2))), moved_batch=True)
def _transpose(tracer: Tracer, operation: Any, x: Signal) -> Signal:
    axes = operation.axes or tuple(reversed(range(len(x.shape))))
    return _reordered(tracer, x, axes)


@register(*operation_types(lambda x: ops.moveaxis(x, 1, 2)), moved_batch=True)
def _moveaxis(tracer: Tracer, operation: Any, x: Signal) -> Signal:
    axes = np.moveaxis(_numbered(x), operation.source, operation.destination).shape
    return _reordered(tracer, x, axes)


@register(*operation_types(lambda x: ops.swapaxes(x, 1, 2)), moved_batch=True)
def _swapaxes(tracer: Tracer, operation: Any, x: Signal) -> Signal:
    axes = np.swapaxes(_numbered(x), operation.axis1, operation.axis2).shape
    return _reordered(tracer, x, axes)


def _numbered(x: Signal) -> np.ndarray:
    """An empty array each of whose axes is as long as its own number."""
    return np.empty(range(len(x.shape)))


def _reordered(tracer: Tracer, x: Signal, axes: Sequence[int]) -> Signal:
    order = [axis % len(x.shape) for axis in axes]
    return moved(tracer, x, [order.index(axis) for axis in range(len(order))])


@register(
    *operation_types(lambda x: ops.squeeze(x, 1), shape=(None, 1, 2)), moved_batch=True
)
def _squeeze(tracer: Tracer, operation: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    rank = len(x.shape)
    every = range(rank) if operation.axis is None else np.atleast_1d(operation.axis)
    gone = [i % rank for i in every if x.shape[i] == 1]
    if x.axis % rank in gone or x.batch in gone:
        return tracer.opaque(f"{tracer.call.path!r} squeezes the channels away", x)
    return moved(tracer, x, [i - sum(each < i for each in gone) for i in range(rank)])


def moved(tracer: Tracer, x: Signal, places: Sequence[int]) -> Signal:
    """The same numbers, each axis in another place, as what the call yields.

    Args:
        tracer: of the call.
        x: what is moved.
        places: of every axis; what it says of axes that are gone does not count.
    """
    run, place = tracer.call.run, places[x.axis % len(x.shape)]
    z = tracer.channelwise(run, x, channel_axis=place, linear_part=run)
    return replace(z, batch=places[x.batch])
