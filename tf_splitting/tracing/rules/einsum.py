"""Sums of products over axes named by letters: EinsumDense, `ops.einsum`, `ops.matmul`.

A channel axis is a letter. A product keeps channels apart if their letter is in its
result; a kernel mixes them if it sums over it. Of the axes that a kernel makes, the
first holds the channels: in attention, the heads. Where these cannot grow another
does: the width of each head, as far as nothing sums over it, which is that of values.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import ops

from tf_splitting.tracing.keras_internals import operation_types
from tf_splitting.tracing.rules.activations import apply_activation
from tf_splitting.tracing.rules.refusal import altered
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.sizes import product
from tf_splitting.tracing.ties import grows
from tf_splitting.tracing.tracer import Signal, Tracer

# Axes that an equation leaves to `...`; no equation can name them.
_UNNAMED = "0123456789"


def letters(equation: str, *ranks: int) -> tuple[str, ...]:
    """The axes of all operands and of the result, as one letter each.

    Args:
        equation: such as "...x,xy->...y".
        ranks: of the operands.
    """
    inputs, _, output = equation.replace(" ", "").partition("->")
    named = inputs.split(",")
    spare = [
        rank - len(axes.replace("...", "")) if "..." in axes else 0
        for axes, rank in zip(named, ranks, strict=True)
    ]
    # What they stand for is aligned from the right.
    unnamed = _UNNAMED[: max(spare)]
    expanded = [
        axes.replace("...", unnamed[len(unnamed) - n :])
        for axes, n in zip(named, spare, strict=True)
    ]
    return *expanded, output.replace("...", unnamed)


@register(keras.layers.EinsumDense)
def _einsum_dense(
    tracer: Tracer, layer: keras.layers.EinsumDense, given: Signal
) -> Signal | tuple[Signal, ...]:
    reason = altered(tracer, layer)
    if reason is not None:
        return tracer.opaque(reason, given)
    kernel, dtype = layer.kernel, layer.compute_dtype
    ranks = len(given.shape), len(kernel.shape)
    read, held, made = letters(layer.equation, *ranks)
    sizes = dict(zip(held, kernel.shape, strict=True))
    outputs = dict(zip(made, tracer.output_shape, strict=True))
    # The config tells neither the batch's axis nor those that `...` stands for.
    untold = len(made) - len(layer.get_config()["output_shape"])
    mixed = [axis for axis in held if axis in read and axis not in made]
    new = [axis for axis in held if axis in made and axis not in read]
    x, letter = _seen(tracer, given, read, mixed)
    spread = {**dict(zip(read, given.shape, strict=True)), **outputs}
    positions = product(n for axis, n in spread.items() if axis not in held + made[0])

    def multiply(x: Any, kernel: Any) -> Any:
        return ops.einsum(layer.equation, ops.cast(x, dtype), ops.cast(kernel, dtype))

    kept = read[0] == made[0] and letter != read[0]
    if kept and letter in mixed and new:

        def along(channels: str) -> Signal:
            return tracer.linear(
                x,
                kernel,
                multiply,
                in_axis=held.index(letter),
                out_axis=held.index(channels),
                channel_axis=made.index(channels),
                positions=positions,
            )

        u = tracer.choose(*(partial(along, channels) for channels in new))
        place = u.axis + len(made) - untold
        tracer.config("output_shape", u, index=place)
    elif kept and letter in made:
        every = {**spread, **sizes}
        macs = product(n for axis, n in every.items() if axis not in (letter, made[0]))
        u = tracer.channelwise(
            lambda x: multiply(x, kernel),
            x,
            channel_axis=made.index(letter),
            macs_per_channel=macs,
            linear_part=lambda x: multiply(x, kernel),
        )
        if letter in held:
            tracer.carry(kernel, held.index(letter), u, kind="kernel")
        place = made.index(letter) - untold
        if place >= 0 and layer.get_config()["output_shape"][place] is not None:
            tracer.config("output_shape", u, index=place)
    else:
        macs = product((positions, *sizes.values()))
        path = tracer.call.path
        return tracer.opaque(
            f"{path!r} sums over the batch or to a number", given, macs=macs
        )
    biased = _add_bias(tracer, layer, u, made[u.axis])
    return apply_activation(tracer, layer, biased)


def _seen(
    tracer: Tracer, x: Signal, axes: str, preferred: list[str]
) -> tuple[Signal, str]:
    """The signal along the axis of its channels, and that; any will do if frozen."""
    if not grows(x.blocks):
        for axis in preferred:
            along = tracer.along(x, axes.index(axis))
            if along is not None:
                return along, axis
    return x, axes[x.axis]


def _add_bias(
    tracer: Tracer, layer: keras.layers.EinsumDense, u: Signal, letter: str
) -> Signal:
    """The bias, whose axes are the last ones of the result, or of length 1."""
    bias = layer.bias
    if bias is None:
        return u
    if letter in layer.bias_axes:
        axis = u.axis + len(bias.shape)
        tracer.carry(bias, axis, u, initial=layer.bias_initializer)

    def shift() -> Any:
        return ops.cast(bias, layer.compute_dtype)

    return tracer.channelwise(
        lambda x: ops.add(x, shift()),
        u,
        shape=u.shape,
        linear_part=lambda change: change,
        shift=shift,
    )


@register(*operation_types(lambda x: ops.einsum("abcd->abdc", x)), alone=True)
def _einsum(tracer: Tracer, operation: Any, *xs: Signal) -> Signal | tuple[Signal, ...]:
    return multiplied(tracer, operation.subscripts, *xs)


@register(*operation_types(ops.matmul, 2), any_arguments=True, alone=True)
def _matmul(tracer: Tracer, operation: Any, *xs: Signal) -> Signal | tuple[Signal, ...]:
    ranks = [len(x.shape) for x in xs]
    if len(xs) != 2 or min(ranks) < 2:
        tracer.leave_uncounted()
        return tracer.opaque(f"{tracer.call.path!r} mixes its channels", *xs)
    return multiplied(tracer, "...ij,...jk->...ik", *xs)


def multiplied(
    tracer: Tracer, equation: str, *xs: Signal
) -> Signal | tuple[Signal, ...]:
    """A product that keeps the channels of its operands apart, if it does."""
    if "->" not in equation:
        tracer.leave_uncounted()
        return tracer.opaque(f"{tracer.call.path!r} mixes its channels", *xs)
    *operands, made = letters(equation, *(len(x.shape) for x in xs))
    sizes: dict[str, int | None] = {}
    for axes, x in zip(operands, xs, strict=True):
        for axis, n in zip(axes, x.shape, strict=True):
            # Of two that are broadcast, the longer one counts.
            sizes[axis] = n if sizes.get(axis) in (None, 1) else sizes[axis]
    batch = made[:1]
    growing = [axes[x.axis] for axes, x in zip(operands, xs) if grows(x.blocks)]
    for letter in dict.fromkeys([*growing, made[-1:]]):
        if letter == batch or letter not in made:
            continue
        holding = [i for i, axes in enumerate(operands) if letter in axes]
        others = [i for i in range(len(xs)) if i not in holding]
        if any(grows(xs[i].blocks) for i in others):
            continue
        along = [tracer.along(xs[i], operands[i].index(letter)) for i in holding]
        seen = [x for x in along if x is not None]
        if len(seen) < len(along):
            continue
        each = product(n for axis, n in sizes.items() if axis not in (letter, batch))
        return tracer.channelwise(
            _reordered(tracer.call.run, [*holding, *others]),
            *seen,
            sides=[xs[i] for i in others],
            channel_axis=made.index(letter),
            macs_per_channel=each if len(xs) == 2 else 0,
        )
    macs = product(n for axis, n in sizes.items() if axis != batch)
    return tracer.opaque(f"{tracer.call.path!r} mixes its channels", *xs, macs=macs)


def _reordered(run: Callable[..., Any], order: list[int]) -> Callable[..., Any]:
    """`run`, given its tensors in another order."""

    def reordered(*tensors: Any) -> Any:
        places = dict(zip(order, tensors, strict=True))
        return run(*(places[i] for i in range(len(order))))

    return reordered
