"""Raw operations along axes of positions: what they move, sum or sort has no channels.

Along the axis of the channels or of the batch they freeze what they touch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_splitting.tracing.keras_internals import operation_types
from tf_splitting.tracing.rules.newer import existing_types
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.tracer import Signal, Tracer

_LINEAR = {
    *operation_types(lambda x: ops.roll(x, 1, axis=1)),
    *operation_types(lambda x: ops.flip(x, axis=1)),
    *operation_types(lambda x: ops.cumsum(x, axis=1)),
    *operation_types(lambda x: ops.diff(x, axis=1)),
}


@register(
    *_LINEAR,
    *operation_types(lambda x: ops.cumprod(x, axis=1)),
    *operation_types(lambda x: ops.sort(x, axis=1)),
    *operation_types(lambda x: ops.normalize(x, axis=1)),
)
def _along_an_axis(
    tracer: Tracer, operation: Any, x: Signal
) -> Signal | tuple[Signal, ...]:
    # An operation that is told of no axis takes all as one, or acts along each.
    axis = operation.axis
    axes = np.arange(len(x.shape)) if axis is None else np.atleast_1d(axis)
    linear = type(operation) in _LINEAR and getattr(operation, "dtype", None) is None
    return _of_positions(tracer, x, axes, linear)


@register(*operation_types(lambda x: ops.rot90(x, axes=(1, 2))))
def _turn(tracer: Tracer, operation: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    return _of_positions(tracer, x, operation.axes, linear=True)


@register(*operation_types(ops.tril), *operation_types(ops.triu))
def _triangle(tracer: Tracer, operation: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    return _of_positions(tracer, x, (-2, -1), linear=True)


@register(
    *existing_types(["rms_normalization", "layer_normalization"]),
    any_arguments=True,
)
def _normalization(
    tracer: Tracer, operation: Any, *xs: Signal
) -> Signal | tuple[Signal, ...]:
    x, rank = xs[0], len(xs[0].shape)
    if x.axis % rank in np.atleast_1d(operation.axis) % rank:
        return tracer.opaque(f"{tracer.call.path!r} normalizes over the channels", *xs)
    if len(xs) > 1 or tracer.call.extras:
        return tracer.opaque(
            f"{tracer.call.path!r} is called with further arguments", *xs
        )
    return _of_positions(tracer, x, np.atleast_1d(operation.axis), linear=False)


def _of_positions(
    tracer: Tracer, x: Signal, axes: Iterable[int], linear: bool
) -> Signal | tuple[Signal, ...]:
    """An operation along these axes, which keeps the order of all axes."""
    rank = len(x.shape)
    touched = {axis % rank for axis in axes}
    if touched & {0, x.axis % rank}:
        return tracer.opaque(f"{tracer.call.path!r} acts along the channels", x)
    run = tracer.call.run
    return tracer.channelwise(run, x, linear_part=run if linear else None)


@register(
    *operation_types(lambda x: ops.pad(x, [[0, 0], [1, 1], [0, 0], [0, 0]])),
    any_arguments=True,
)
def _pad(tracer: Tracer, operation: Any, *xs: Signal) -> Signal | tuple[Signal, ...]:
    """Constant channels beside the others are frozen; these may grow between them."""
    x, path = xs[0], tracer.call.path
    widths = np.broadcast_to(operation.pad_width, (len(x.shape), 2))
    if len(xs) > 1 or widths[0].any():
        return tracer.opaque(f"{path!r} pads the batch, or with computed numbers", *xs)
    constant = operation.mode == "constant"
    linear = not constant or not any(tracer.call.extras)
    run = tracer.call.run
    before, behind = (int(n) for n in widths[x.axis])
    if not before and not behind:
        return tracer.channelwise(run, x, linear_part=run if linear else None)
    if not constant or not linear:
        return tracer.opaque(f"{path!r} pads the channels with other than zeros", x)
    return tracer.surround(run, x, before, behind)


@register(*operation_types(lambda x: ops.take(x, [0], axis=1)), any_arguments=True)
def _take(tracer: Tracer, operation: Any, *xs: Signal) -> Signal | tuple[Signal, ...]:
    taken_from, *rest = tracer.call.arguments
    x, rank, path = xs[0], len(xs[0].shape), tracer.call.path
    if not isinstance(taken_from, keras.KerasTensor) or len(xs) > 1 or not rest:
        return tracer.opaque(f"{path!r} takes by computed numbers", *xs)
    place = x.axis % rank
    axis = None if operation.axis is None else operation.axis % rank
    if axis in (None, 0, place):
        return tracer.opaque(f"{path!r} takes some of the channels", x)
    run, more = tracer.call.run, np.ndim(rest[0]) - 1
    place += more if axis < place else 0
    return tracer.channelwise(run, x, channel_axis=place, linear_part=run)


@register(*operation_types(lambda x: ops.moments(x, [1])[0]))
def _moments(tracer: Tracer, operation: Any, x: Signal) -> tuple[Signal, ...]:
    """Mean and variance over positions."""
    rank, place = len(x.shape), x.axis % len(x.shape)
    axes = {axis % rank for axis in np.atleast_1d(operation.axes)}
    if axes & {0, place}:
        over = "channels" if place in axes else "the examples of a batch"
        return tracer.opaque(f"{tracer.call.path!r} reduces over {over}", x)
    run = tracer.call.run
    if not operation.keepdims:
        place -= sum(axis < place for axis in axes)
    return tuple(
        tracer.channelwise(
            lambda x, number=number: run(x)[number],
            x,
            shape=shape,
            channel_axis=place,
        )
        for number, shape in enumerate(tracer.call.shapes)
    )


@register(*operation_types(lambda x: ops.tile(x, (1, 2, 1, 1))))
def _tile(tracer: Tracer, operation: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    rank, run = len(x.shape), tracer.call.run
    repeats = np.atleast_1d(operation.repeats)
    if len(repeats) < rank:
        repeats = np.pad(repeats, (rank - len(repeats), 0), constant_values=1)
    if len(repeats) > rank or repeats[0] != 1:
        return tracer.opaque(f"{tracer.call.path!r} repeats examples", x)
    times = int(repeats[x.axis])
    if times != 1:
        return tracer.tile(run, x, times, channel_axis=x.axis)
    return tracer.channelwise(run, x, linear_part=run)
