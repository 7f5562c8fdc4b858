"""Tensors that are the same for all examples, made of weights and nothing else.

They have no axis of the batch, and are computed once for however many examples. A table
may hold a number for each channel of what it meets, as a scale or a bias; or several,
of which every position finds its own, as relative positions in attention do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_splitting.tracing.keras_internals import operation_types
from tf_splitting.tracing.ties import grows
from tf_splitting.tracing.tracer import Signal, Tracer

# What comes out of these are the numbers that go in, elsewhere.
_MOVES = {
    kind
    for move in (
        lambda x: ops.broadcast_to(x, (2, 2, 2, 2)),
        lambda x: ops.expand_dims(x, 0),
        lambda x: ops.flip(x, 0),
        lambda x: ops.moveaxis(x, 0, 1),
        lambda x: ops.repeat(x, 2, axis=0),
        lambda x: ops.reshape(x, (2, -1)),
        lambda x: ops.roll(x, 1, axis=0),
        lambda x: ops.squeeze(x, 0),
        lambda x: ops.swapaxes(x, 0, 1),
        lambda x: ops.take(x, [0], axis=0),
        lambda x: ops.tile(x, (2, 1, 1, 1)),
        lambda x: ops.transpose(x),
        lambda x: x[0],
    )
    for kind in operation_types(move, shape=(1, 2, 2, 2))
}
# Entries of their configs that hold lengths of what comes out.
_LENGTHS = ("newshape", "shape")


def describe_alone(
    tracer: Tracer, operation: Any, inputs: Sequence[Signal]
) -> Signal | tuple[Signal, ...]:
    """Describes a call that makes such a tensor."""
    if not inputs:
        return tracer.number()
    if type(operation) is keras.layers.Embedding:
        (variable,), (x,) = operation.variables, inputs
        if not x.shape and len(variable.shape):
            return tracer.looked_up(variable, x)
    x, *places = inputs
    if type(operation) in _MOVES and len(places) < 2 and grows(x.blocks):
        moved = _moved(tracer, operation, x, places)
        if moved is None and len(x.shape) == 1 and tracer.output_shape:
            moved = _moved(tracer, operation, _in_rows(tracer, x), places)
        if moved is not None:
            return moved
    reason = f"{tracer.call.path!r} has nothing to do with the inputs of the model"
    return tracer.opaque(reason, *inputs)


def met(tracer: Tracer, inputs: Sequence[Signal]) -> list[Signal]:
    """What meets element by element, such tensors with as many axes as the others."""
    others = [x for x in inputs if not x.alone and grows(x.blocks)]
    rank = max(len(x.shape) for x in inputs)
    found = []
    for x in inputs:
        if x.alone:
            if any(each.axis != x.axis or each.width != x.width for each in others):
                path = tracer.call.path
                tracer.freeze(x, f"{path!r} reads it along other axes than channels")
            x = replace(x, shape=(*[1] * (rank - len(x.shape)), *x.shape))
        found.append(x)
    return found


def _in_rows(tracer: Tracer, x: Signal) -> Signal:
    """The numbers of a table as rows of a matrix, the same channels in each."""
    count = x.width // (tracer.output_shape[-1] or 1)
    return replace(x, blocks=tracer.alike(x, count).blocks * count)


def _moved(
    tracer: Tracer, operation: Any, x: Signal, places: Sequence[Signal]
) -> Signal | None:
    """Numbers elsewhere, or None if not all channels lie along one axis in order.

    Each channel's number in place of its numbers shows where they come to lie.

    Args:
        places: what the operation is called with besides, such as those to be taken.
    """
    channels = x.blocks[0][0].width
    if any(block != x.blocks[0] for block in x.blocks) or x.blocks[0][1] != 1:
        return None
    sizes = [n for n in x.shape if n is not None]
    if len(sizes) < len(x.shape):
        return None
    labels = np.broadcast_to(
        _labels(channels, len(x.blocks), len(x.shape), x.axis), sizes
    )
    values = map(tracer.value_alone, places)
    found = ops.convert_to_numpy(
        tracer.call.run(ops.convert_to_tensor(labels), *values)
    )
    for axis in reversed(range(found.ndim)):
        times, rest = divmod(found.shape[axis], channels)
        if rest or not times:
            continue
        if (found == _labels(channels, times, found.ndim, axis)).all():
            z = tracer.moved_alone(
                x, *places, times=times, channel_axis=axis - found.ndim
            )
            _configure(tracer, operation, z)
            return z
    return None


def _labels(channels: int, times: int, rank: int, axis: int) -> np.ndarray:
    """Numbers of channels, so many times in a row along an axis."""
    shape = [1] * rank
    shape[axis] = -1
    return np.tile(np.arange(channels, dtype="int32"), times).reshape(shape)


def _configure(tracer: Tracer, operation: Any, z: Signal) -> None:
    """Says where the config of an operation holds the width of the result."""
    for key in _LENGTHS:
        lengths = getattr(operation, key, None)
        if lengths is not None and lengths[z.axis] != -1:
            tracer.config(key, z, index=z.axis % len(lengths))
