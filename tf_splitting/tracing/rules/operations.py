"""Raw `keras.ops` in a graph: `x + y`, `x * 0.5`, `ops.relu(x)`, `ops.mean(x, 1)`.

Operations have no public classes; each is found by calling its function on a symbolic
tensor (`operation_types`).
"""

from __future__ import annotations

from itertools import product
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_splitting.tracing.keras_internals import operation_types
from tf_splitting.tracing.rules.activations import ELEMENTWISE, length_along, softmax
from tf_splitting.tracing.rules.merging import concatenate, merge, stack
from tf_splitting.tracing.rules.newer import existing_types
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.ties import grows
from tf_splitting.tracing.tracer import Signal, Tracer

_UNARY = (
    f"{ELEMENTWISE} abs arccos arccosh arcsin arcsinh arctan arctanh cbrt ceil copy "
    "cos cosh deg2rad erf erfc erfinv exp exp2 expm1 floor log log10 log1p log2 "
    "nan_to_num negative rad2deg reciprocal round rsqrt sign sin sinc sinh sqrt "
    "square tan trunc zeros_like ones_like"
)
_BINARY = (
    "add subtract multiply divide divide_no_nan true_divide maximum minimum fmax fmin "
    "power mod fmod floor_divide logaddexp logaddexp2 hypot arctan2"
)
_COMPARISONS = (
    "greater greater_equal less less_equal equal not_equal logical_and logical_or "
    "logical_xor"
)
_TESTS = "logical_not isfinite isinf isnan"
_REDUCTIONS = (
    "mean average sum max amax min amin prod std var logsumexp median norm ptp "
    "nanmean nansum nanmax nanmin"
)
_COSTLY = "dot inner outer tensordot vdot"
_KERNEL = np.ones((1, 1, 2, 2), "float32")
_CONVOLUTIONS = (
    lambda x: ops.conv(x, _KERNEL),
    lambda x: ops.conv_transpose(x, _KERNEL, 1),
    lambda x: ops.depthwise_conv(x, _KERNEL),
    lambda x: ops.separable_conv(x, _KERNEL, np.ones((1, 1, 4, 2), "float32")),
)


def _types(names: str, arity: int = 1) -> set[type]:
    return existing_types(names.split(), arity)


# Those that are linear, where no number is among their arguments.
_SUMS = _types("add subtract", 2)
_MEANS = _types("mean average sum")


@register(
    *_types(_UNARY),
    *operation_types(keras.activations.relu),
    *operation_types(lambda x: ops.cast(x, "float16")),
    *operation_types(lambda x: ops.clip(x, 0, 1)),
    *operation_types(lambda x: ops.threshold(x, 0, 0)),
    pointwise=True,
)
def _unary(tracer: Tracer, operation: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    if any(
        np.ndim(value) > 0 for value in vars(operation).values() if _is_array(value)
    ):
        return tracer.opaque(_per_channel(tracer), x)
    return tracer.channelwise(tracer.call.run, x, activation=tracer.call.run)


# Not `pointwise`: a function that has it inside would be differentiated with it.
@register(*operation_types(ops.stop_gradient))
def _unchanged(tracer: Tracer, operation: Any, x: Signal) -> Signal:
    """What the loss depends on goes through it, though gradients in training do not."""
    return tracer.channelwise(_itself, x, linear_part=_itself)


def _itself(x: Any) -> Any:
    return x


@register(*_types(_COMPARISONS, 2), *_types(_TESTS), any_arguments=True, pointwise=True)
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
    extras, path = tracer.call.extras, tracer.call.path
    rank = min(len(x.shape) for x in xs)
    if any(np.ndim(value) > rank for value in extras):
        return tracer.opaque(f"{path!r} adds axes in front", *xs)
    if len(xs) == len(extras) == 1:
        (x,), (value,) = xs, extras
        place = _made_by(value, x)
        if place is not None:
            run = tracer.call.run
            options = [lambda: tracer.widened(run, x, value, place)]
            if place != x.axis:
                options.append(lambda: tracer.channelwise(run, x))
            return tracer.choose(*options)
    for x, value in product(xs, extras):
        length = length_along(value, x)
        if length == 1:
            continue
        if isinstance(value, keras.Variable) or length != x.width:
            return tracer.opaque(_per_channel(tracer), *xs)
        tracer.constant(value, x.axis, x)
    linear = type(operation) in _SUMS and not extras
    return merge(tracer, *xs, linear=linear)


def _made_by(value: Any, x: Signal) -> int | None:
    """The axis that only an array has channels on, those of what it meets frozen.

    Such as heads of which each has a slope, where distances are the same for all.
    """
    shape = np.shape(value)
    made = [a for a in range(-len(shape), 0) if shape[a] != 1]
    if grows(x.blocks) or len(made) != 1 or isinstance(value, keras.Variable):
        return None
    (place,) = made
    first = place + len(x.shape) == x.batch
    return None if first or x.shape[place] != 1 else place


@register(*operation_types(lambda x, y: ops.concatenate([x, y]), 2))
def _concatenate(
    tracer: Tracer, operation: Any, *xs: Signal
) -> Signal | tuple[Signal, ...]:
    return concatenate(tracer, operation.axis, *xs)


@register(*operation_types(lambda x, y: ops.append(x, y, axis=1), 2))
def _append(tracer: Tracer, operation: Any, *xs: Signal) -> Signal | tuple[Signal, ...]:
    if operation.axis is None:
        return tracer.opaque(f"{tracer.call.path!r} folds all axes into one", *xs)
    return concatenate(tracer, operation.axis, *xs)


@register(*operation_types(lambda x, y: ops.stack([x, y], axis=1), 2))
def _stack(tracer: Tracer, operation: Any, *xs: Signal) -> Signal | tuple[Signal, ...]:
    return stack(tracer, operation.axis, *xs)


@register(
    *operation_types(lambda x: ops.batch_normalization(x, np.ones(2), np.ones(2), -1)),
    any_arguments=True,
)
def _batch_normalization(
    tracer: Tracer, operation: Any, *xs: Signal
) -> tuple[Signal, ...]:
    return tracer.opaque(_per_channel(tracer), *xs)


@register(*_types(_REDUCTIONS))
def _reduction(
    tracer: Tracer, operation: Any, x: Signal
) -> Signal | tuple[Signal, ...]:
    rank, axis = len(x.shape), operation.axis
    axes = range(rank) if axis is None else np.atleast_1d(axis) % rank
    if x.axis % rank in axes or 0 in axes:
        over = "channels" if x.axis % rank in axes else "the examples of a batch"
        return tracer.opaque(f"{tracer.call.path!r} reduces over {over}", x)
    behind = sum(int(a) > x.axis % rank for a in axes)
    # Those without the argument do not keep them.
    gone = 0 if getattr(operation, "keepdims", False) else behind
    run = tracer.call.run
    linear_part = run if type(operation) in _MEANS else None
    return tracer.channelwise(
        run, x, channel_axis=x.axis + gone, linear_part=linear_part
    )


@register(*_types("softmax log_softmax sparsemax"))
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


@register(
    *_types(_COSTLY, 2),
    *(kind for convolve in _CONVOLUTIONS for kind in operation_types(convolve)),
    any_arguments=True,
    alone=True,
)
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
