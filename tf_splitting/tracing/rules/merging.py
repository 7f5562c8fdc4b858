"""Layers that merge several tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.tracer import Signal, Tracer


@register(keras.layers.Multiply, keras.layers.Maximum, keras.layers.Minimum)
def _merge(
    tracer: Tracer, layer: keras.layers.Layer, *xs: Signal
) -> Signal | tuple[Signal, ...]:
    return merge(tracer, *xs)


@register(keras.layers.Add, keras.layers.Subtract, keras.layers.Average)
def _add(
    tracer: Tracer, layer: keras.layers.Layer, *xs: Signal
) -> Signal | tuple[Signal, ...]:
    return merge(tracer, *xs, linear=True)


@register(keras.layers.Concatenate)
def _concatenate(
    tracer: Tracer, layer: keras.layers.Concatenate, *xs: Signal
) -> Signal | tuple[Signal, ...]:
    return concatenate(tracer, layer.axis, *xs)


def merge(
    tracer: Tracer,
    *xs: Signal,
    linear: bool = False,
    sides: Sequence[Signal] = (),
    run: Callable[..., Any] | None = None,
) -> Signal | tuple[Signal, ...]:
    """Element by element, shapes broadcast from the right.

    Args:
        tracer: of the call.
        xs: what is merged.
        linear: whether the result is a sum.
        sides: tensors that hold no channels; `run` gets them behind the others.
        run: the function, if it is not the call itself.
    """
    aligned = _aligned(tracer, xs)
    if aligned is None:
        return tracer.opaque(
            f"{tracer.call.path!r} merges tensors with channels on other axes",
            *xs,
            *sides,
        )
    run = run or tracer.call.run
    part = run if linear else None
    return tracer.channelwise(run, *aligned, sides=sides, linear_part=part)


def concatenate(tracer: Tracer, axis: int, *xs: Signal) -> Signal | tuple[Signal, ...]:
    """End to end along an axis, the channels' or another."""
    aligned = _aligned(tracer, xs)
    if aligned is None:
        return tracer.opaque(
            f"{tracer.call.path!r} joins tensors with channels on other axes", *xs
        )
    rank = len(aligned[0].shape)
    if axis % rank == 0:
        return tracer.opaque(f"{tracer.call.path!r} joins batches", *xs)
    if axis % rank == aligned[0].axis % rank:
        return tracer.join(tracer.call.run, *aligned)
    return tracer.channelwise(tracer.call.run, *aligned, linear_part=tracer.call.run)


def stack(tracer: Tracer, axis: int, *xs: Signal) -> Signal | tuple[Signal, ...]:
    """Side by side along a new axis."""
    aligned, path = _aligned(tracer, xs), tracer.call.path
    if aligned is None:
        return tracer.opaque(
            f"{path!r} stacks tensors with channels on other axes", *xs
        )
    rank = len(tracer.output_shape)
    if axis % rank == 0:
        return tracer.opaque(f"{path!r} moves the batch axis", *xs)
    place = aligned[0].axis % (rank - 1)
    place += axis % rank <= place
    run = tracer.call.run
    return tracer.channelwise(run, *aligned, channel_axis=place, linear_part=run)


def _aligned(tracer: Tracer, xs: tuple[Signal, ...]) -> list[Signal] | None:
    """The signals with channels on the same axis, counted from the end."""
    axes = {x.axis for x in xs}
    if len(axes) == 1:
        return list(xs)
    for axis in axes:
        if all(axis + len(x.shape) >= 1 for x in xs):
            seen = [tracer.along(x, axis) for x in xs]
            moved = [x for x in seen if x is not None]
            if len(moved) == len(xs):
                return moved
    return None
