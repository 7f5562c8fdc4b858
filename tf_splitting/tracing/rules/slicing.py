"""Operations that take tensors apart or repeat them, channels in one piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops

from tf_splitting.tracing.keras_internals import operation_types
from tf_splitting.tracing.rules.axes import moved
from tf_splitting.tracing.rules.newer import existing_functions
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.tracer import Signal, Tracer


@register(
    *operation_types(lambda x: ops.split(x, 2, axis=1)[0]),
    *(
        kind
        for function in existing_functions(["array_split"])
        for kind in operation_types(lambda x, f=function: f(x, 2, axis=1)[0])
    ),
    moved_batch=True,
)
def _split(tracer: Tracer, operation: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    rank, sections = len(x.shape), operation.indices_or_sections
    if operation.axis % rank == x.batch:
        return tracer.opaque(f"{tracer.call.path!r} splits the batch", x)
    parts = [x] * len(tracer.call.shapes)
    if operation.axis % rank == x.axis % rank:
        widths = [shape[x.axis] or 0 for shape in tracer.call.shapes]
        uneven = not np.ndim(sections) and len(set(widths)) > 1
        if 0 in widths or sum(widths) != x.width or uneven:
            return tracer.opaque(f"{tracer.call.path!r} splits the channels", x)
        if np.ndim(sections):
            parts = list(tracer.cut(x, widths))
            for number in range(len(sections)):
                before = tuple(block for y in parts[: number + 1] for block in y.blocks)
                tracer.config(
                    "indices_or_sections", replace(x, blocks=before), index=number
                )
        else:
            parts = [tracer.alike(x, int(sections))] * len(parts)
    return _parts(tracer, parts, x.axis)


@register(*operation_types(lambda x: ops.unstack(x, axis=1)[0]), moved_batch=True)
def _unstack(tracer: Tracer, operation: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    rank = len(x.shape)
    axis, place = operation.axis % rank, x.axis % rank
    if axis in (x.batch, place):
        return tracer.opaque(f"{tracer.call.path!r} takes the channels apart", x)
    same = [x] * len(tracer.call.shapes)
    parts = _parts(tracer, same, place - (axis < place))
    return tuple(replace(part, batch=x.batch - (axis < x.batch)) for part in parts)


def _parts(
    tracer: Tracer, xs: Sequence[Signal], channel_axis: int
) -> tuple[Signal, ...]:
    """Every result of a call that takes a tensor apart.

    Args:
        xs: the tensor, as each part sees it.
        channel_axis: of the results.
    """
    run = tracer.call.run

    def part(number: int, x: Signal) -> Signal:
        def take(x: Any) -> Any:
            return run(x)[number]

        shape = tracer.call.shapes[number]
        return tracer.channelwise(
            take, x, shape=shape, channel_axis=channel_axis, linear_part=take
        )

    return tuple(part(number, x) for number, x in enumerate(xs))


@register(*operation_types(ops.glu))
def _gated(tracer: Tracer, operation: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    """One half times the sigmoid of the other."""
    rank = len(x.shape)
    if operation.axis % rank == 0:
        return tracer.opaque(f"{tracer.call.path!r} splits the batch", x)
    if operation.axis % rank == x.axis % rank:
        x = tracer.alike(x, 2)
    return tracer.channelwise(tracer.call.run, x)


@register(*operation_types(lambda x: x[:, 0]), any_arguments=True, moved_batch=True)
def _item(tracer: Tracer, operation: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    places = _places_behind(tracer.call.arguments[1:], x)
    if places is None:
        return tracer.opaque(f"{tracer.call.path!r} takes some of the channels", x)
    return moved(tracer, x, places)


def _places_behind(key: Any, x: Signal) -> list[int] | None:
    """Where the axes of `x` are in `x[key]`, if all channels of all examples are there.

    Of an axis that is gone, where the next one is.
    """
    if len(key) != 1:
        return None
    entries = list(key[0]) if isinstance(key[0], (tuple, list)) else [key[0]]
    if not all(isinstance(e, (int, slice, type(None), type(...))) for e in entries):
        return None
    channels = x.axis % len(x.shape)
    taken = sum(isinstance(entry, (int, slice)) for entry in entries)
    at = entries.index(...) if ... in entries else len(entries)
    entries[at : at + 1] = [slice(None)] * (len(x.shape) - taken)
    places: list[int] = []
    target = 0
    for entry in entries:
        if entry is None:
            target += 1
            continue
        if len(places) in (x.batch, channels) and entry != slice(None):
            return None
        places.append(target)
        target += isinstance(entry, slice)
    return places


@register(*operation_types(lambda x: ops.repeat(x, 2, axis=1)))
def _repeat(tracer: Tracer, operation: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    rank, run = len(x.shape), tracer.call.run
    if operation.axis is None or operation.axis % rank == 0:
        return tracer.opaque(f"{tracer.call.path!r} repeats examples", x)
    if operation.axis % rank != x.axis % rank:
        return tracer.channelwise(run, x, linear_part=run)
    if np.ndim(operation.repeats):
        return tracer.opaque(f"{tracer.call.path!r} repeats some channels only", x)
    times = int(operation.repeats)
    return tracer.channelwise(run, x, repeat=times, linear_part=run)
