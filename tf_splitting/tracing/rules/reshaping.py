"""Flatten, Reshape and Permute, as far as every channel stays in one piece."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
from keras import ops

from tf_splitting.tracing.keras_internals import operation_types
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.sizes import count_positions, product, rows_behind
from tf_splitting.tracing.tracer import Signal, Tracer


@register(keras.layers.Flatten)
def _flatten(
    tracer: Tracer, layer: keras.layers.Flatten, given: Signal
) -> Signal | tuple[Signal, ...]:
    if len(given.shape) == 2:
        return _rearranged(tracer, given)
    # Channels that come first are moved to the end by the layer.
    first = layer.data_format == "channels_first"
    x = tracer.along(given, 1 if first else -1)
    if x is None:
        place = "first" if first else "last"
        return tracer.opaque(
            f"{tracer.call.path!r} flattens channels that are not on the {place} axis",
            given,
        )
    return _to_vector(tracer, x)


@register(keras.layers.Reshape)
def _reshape(
    tracer: Tracer, layer: keras.layers.Reshape, x: Signal
) -> Signal | tuple[Signal, ...]:
    return _reshaped(tracer, x, layer.target_shape, "target_shape", first=0)


@register(*operation_types(lambda x: ops.reshape(x, (-1, 8))))
def _reshape_operation(
    tracer: Tracer, operation: Any, x: Signal
) -> Signal | tuple[Signal, ...]:
    if rows_behind(tracer.call.rows, x.shape, tracer.output_shape) is None:
        return tracer.opaque(
            f"{tracer.call.path!r} may fold other axes into that of the batch", x
        )
    return _reshaped(tracer, x, operation.newshape[1:], "newshape", first=1)


def _reshaped(
    tracer: Tracer, x: Signal, target: Sequence[int], key: str, first: int
) -> Signal | tuple[Signal, ...]:
    """Another shape, of which entry `key` of the config holds `target` from `first`."""
    shape, run = tracer.output_shape, tracer.call.run

    def placed(z: Signal, place: int) -> Signal:
        """Says where the config holds the width of the result."""
        if target[place - 1] != -1:
            tracer.config(key, z, index=place - 1 + first)
        return z

    if _is_vector(x):
        place = _place(shape, x.width)
        if place is not None:
            return placed(_rearranged(tracer, x, place), place)
    place = _kept(x, shape)
    if place is not None:
        return placed(_rearranged(tracer, x, place), place)
    if x.axis == -1 and len(shape) == 2 and product(x.shape[1:]) == shape[1]:
        vector = _to_vector(tracer, x)
        return placed(vector, 1) if isinstance(vector, Signal) else vector
    for count in (2, 3):
        place = _unfolded(x, shape, count)
        if place is not None:
            z = _heads(tracer, x, place, count)
            return placed(z, z.axis % len(shape))
    times = _tiled(x, shape)
    if times is not None:
        return placed(tracer.tile(run, x, times), len(shape) - 1)
    place = _folded(x, shape)
    if place is not None:
        size = _behind(x)[0]
        assert size is not None
        z = tracer.channelwise(run, x, repeat=size, channel_axis=place, linear_part=run)
        return placed(z, place)
    return tracer.opaque(f"{tracer.call.path!r} folds channels into other axes", x)


@register(keras.layers.Permute)
def _permute(tracer: Tracer, layer: keras.layers.Permute, x: Signal) -> Signal:
    place = layer.dims.index(x.axis % len(x.shape)) + 1
    return _rearranged(tracer, x, place)


@register(keras.layers.RepeatVector)
def _repeat_vector(tracer: Tracer, layer: keras.layers.Layer, x: Signal) -> Signal:
    return _rearranged(tracer, x)


def _rearranged(tracer: Tracer, x: Signal, place: int | None = None) -> Signal:
    """The same numbers in another order, the channels on axis `place`."""
    run = tracer.call.run
    return tracer.channelwise(run, x, channel_axis=place, linear_part=run)


def _is_vector(x: Signal) -> bool:
    """Whether every axis but the channels' has length 1."""
    channels = x.axis % len(x.shape)
    return all(n == 1 for i, n in enumerate(x.shape) if i not in (0, channels))


def _place(shape: tuple[int | None, ...], width: int) -> int | None:
    """The one axis of this length where all others have length 1."""
    places = [i for i, n in enumerate(shape) if i > 0 and n == width]
    others = [i for i, n in enumerate(shape) if i > 0 and n != 1]
    if not places or any(i not in places for i in others) or len(others) > 1:
        return None
    return places[-1]


def _kept(x: Signal, shape: tuple[int | None, ...]) -> int | None:
    """Where the channels are if axes are folded on either side of theirs, or on none.

    What runs faster than the channels is as many numbers as before. Channel i stays
    channel i then, however the positions behind it are arranged, and those in front.
    """
    return _place_in_front_of(shape, 1, x.width, _behind(x))


def _unfolded(x: Signal, shape: tuple[int | None, ...], count: int) -> int | None:
    """Where the channels' axis is, if it becomes so many: heads, and those in each."""
    return _place_in_front_of(shape, count, x.width, _behind(x))


def _heads(tracer: Tracer, x: Signal, place: int, count: int) -> Signal:
    """Channels unfolded to so many axes, of which one holds them from here on.

    Of three, the middle one may be heads, behind queries, keys and values.
    """
    shape = tracer.output_shape
    lengths = [n or 1 for n in shape[place : place + count]]

    def along(number: int) -> Signal:
        same, heads = math.prod(lengths[:number]), lengths[number]
        return tracer.unfold(tracer.call.run, x, heads, place + number, same)

    numbers = [1, 0, 2] if count == 3 else [0, 1]
    if place + count < len(shape):
        # What lies behind the channels would be in between.
        numbers.pop()
    return tracer.choose(*(partial(along, number) for number in numbers))


def _tiled(x: Signal, shape: tuple[int | None, ...]) -> int | None:
    """How many channels in a row are one, if axes in front of the last are folded."""
    count = len(x.shape) - len(shape)
    if x.axis != -1 or count < 1 or shape[1:-1] != x.shape[1 : -1 - count]:
        return None
    times = product(x.shape[-1 - count : -1])
    return times if times is not None and shape[-1] == times * x.width else None


def _folded(x: Signal, shape: tuple[int | None, ...]) -> int | None:
    """Where the channels are, if theirs and the axis behind it become one."""
    behind = _behind(x)
    if not behind or not behind[0]:
        return None
    return _place_in_front_of(shape, 1, x.width * behind[0], behind[1:])


def _behind(x: Signal) -> tuple[int | None, ...]:
    """Lengths of the axes behind that of the channels."""
    return x.shape[x.axis % len(x.shape) + 1 :]


def _place_in_front_of(
    shape: tuple[int | None, ...],
    count: int,
    width: int,
    behind: tuple[int | None, ...],
) -> int | None:
    """Where in a shape so many axes have together this length, and these behind them.

    Those behind may be others if there are as many numbers in them.
    """
    for place in reversed(range(1, len(shape) - count + 1)):
        rest = shape[place + count :]
        known = product(rest)
        same = rest == behind or (known is not None and known == product(behind))
        if same and product(shape[place : place + count]) == width:
            return place
    return None


def _to_vector(tracer: Tracer, x: Signal) -> Signal | tuple[Signal, ...]:
    times = count_positions(x.shape, x.axis)
    if times is None:
        return tracer.opaque(
            f"{tracer.call.path!r} flattens an unknown number of positions", x
        )
    return tracer.tile(tracer.call.run, x, times)
