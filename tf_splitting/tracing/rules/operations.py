"""Raw `keras.ops` in a graph: `x + y`, `x * 0.5`, `ops.relu(x)`, `ops.mean(x, 1)`.

Operations have no public classes; each is found by calling its function on a symbolic
tensor (`operation_types`).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tf_splitting.tracing.keras_internals import operation_types
from tf_splitting.tracing.rules.activations import ELEMENTWISE, length_along, softmax
from tf_splitting.tracing.rules.merging import concatenate, merge
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.tracer import Signal, Tracer

# `stop_gradient` is missing on purpose: a split goes through it, gradients do not.
_UNARY = (
    f"{ELEMENTWISE} abs arcsinh arctan ceil cos cosh erf exp expm1 floor log log10 "
    "log1p log2 negative reciprocal round rsqrt sign sin sinh sqrt square tan"
)
_BINARY = (
    "add subtract multiply divide true_divide maximum minimum power mod floor_divide "
    "logaddexp arctan2"
)
_COMPARISONS = (
    "greater greater_equal less less_equal equal not_equal logical_and logical_or"
)
_REDUCTIONS = "mean sum max min prod std var logsumexp"
_COSTLY = "dot tensordot"


def _types(names: str, arity: int = 1) -> set[type]:
    found: set[type] = set()
    for name in names.split():
        found.update(operation_types(getattr(ops, name), arity))
    return found


# Those that are linear, where no number is among their arguments.
_SUMS = _types("add subtract", 2)
_MEANS = _types("mean sum")


@register(
    *_types(_UNARY),
    *operation_types(keras.activations.relu),
    *operation_types(lambda x: ops.cast(x, "float16")),
    *operation_types(lambda x: ops.clip(x, 0, 1)),
    pointwise=True,
)
def _unary(tracer: Tracer, operation: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    if any(
        np.ndim(value) > 0 for value in vars(operation).values() if _is_array(value)
    ):
        return tracer.opaque(_per_channel(tracer), x)
    return tracer.channelwise(tracer.call.run, x, activation=tracer.call.run)


@register(*_types(_COMPARISONS, 2), any_arguments=True, pointwise=True)
def _comparison(tracer: Tracer, operation: Any, *xs: Signal) -> tuple[Signal, ...]:
    # Of truth values there is no gradient, along which estimates go.
    return tracer.opaque(
        f"{tracer.call.path!r} makes truth values of its channels", *xs
    )


@register(*_types(_BINARY, 2), any_arguments=True, pointwise=True)
def _binary(tracer: Tracer, operation: Any, *xs: Signal) -> Signal | tuple[Signal, ...]:
    if any(not _is_array(value) for value in tracer.call.extras):
        return tracer.opaque(
            f"{tracer.call.path!r} is called with further arguments", *xs
        )
    for value in tracer.call.extras:
        shape = np.shape(value)
        if len(shape) > min(len(x.shape) for x in xs):
            return tracer.opaque(f"{tracer.call.path!r} adds axes in front", *xs)
        if any(len(shape) >= -x.axis and shape[x.axis] != 1 for x in xs):
            return tracer.opaque(_per_channel(tracer), *xs)
    linear = type(operation) in _SUMS and not tracer.call.extras
    return merge(tracer, *xs, linear=linear)


@register(*operation_types(lambda x, y: ops.concatenate([x, y]), 2))
def _concatenate(
    tracer: Tracer, operation: Any, *xs: Signal
) -> Signal | tuple[Signal, ...]:
    return concatenate(tracer, operation.axis, *xs)


@register(*_types(_REDUCTIONS))
def _reduction(
    tracer: Tracer, operation: Any, x: Signal
) -> Signal | tuple[Signal, ...]:
    rank, axis = len(x.shape), operation.axis
    axes = range(rank) if axis is None else np.atleast_1d(axis) % rank
    if x.axis % rank in axes or 0 in axes:
        return tracer.opaque(f"{tracer.call.path!r} reduces over channels", x)
    behind = sum(int(a) > x.axis % rank for a in axes)
    gone = 0 if operation.keepdims else behind
    run = tracer.call.run
    linear_part = run if type(operation) in _MEANS else None
    return tracer.channelwise(
        run, x, channel_axis=x.axis + gone, linear_part=linear_part
    )


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
    rank = len(x.shape)
    axes = [a % rank for a in operation.axes or reversed(range(rank))]
    if axes[0] != 0:
        return tracer.opaque(f"{tracer.call.path!r} moves the batch axis", x)
    run, place = tracer.call.run, axes.index(x.axis % rank)
    return tracer.channelwise(run, x, channel_axis=place, linear_part=run)


@register(*operation_types(ops.softmax))
def _softmax(tracer: Tracer, operation: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    return softmax(tracer, operation.axis, x)


@register(*operation_types(ops.where, 3), any_arguments=True, pointwise=True)
def _where(tracer: Tracer, operation: Any, *xs: Signal) -> Signal | tuple[Signal, ...]:
    condition = tracer.call.arguments[0]
    sides = xs[:1] if isinstance(condition, keras.KerasTensor) else ()
    chosen, run = xs[len(sides) :], tracer.call.run
    rest = [v for v in tracer.call.extras if sides or v is not condition]
    if not chosen or not all(
        _is_array(value) and np.ndim(value) == 0 for value in rest
    ):
        return tracer.opaque(f"{tracer.call.path!r} chooses among arrays", *xs)
    if any(length_along(condition, x) != 1 for x in chosen):
        return tracer.opaque(f"{tracer.call.path!r} chooses channels", *xs)

    def reordered(*tensors: Any) -> Any:
        return run(*tensors[len(chosen) :], *tensors[: len(chosen)])

    return merge(tracer, *chosen, sides=sides, run=reordered)


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


@register(*_types(_COSTLY, 2), any_arguments=True)
def _costly(tracer: Tracer, operation: Any, *xs: Signal) -> tuple[Signal, ...]:
    tracer.leave_uncounted()
    return tracer.opaque(f"{tracer.call.path!r} mixes its channels", *xs)


def _is_array(value: Any) -> bool:
    """A number, or an array or variable of them."""
    return isinstance(value, (int, float, np.ndarray, np.generic)) or (
        hasattr(value, "shape") and hasattr(value, "dtype")
    )


def _per_channel(tracer: Tracer) -> str:
    return f"{tracer.call.path!r} has a number of its own for every channel"
