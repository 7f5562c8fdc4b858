"""First and second derivatives of activations.

A product with splitting matrices needs both at every activation. Where they are known
in closed form (`CURVES`) they come out of one evaluation; else the second derivative
is a difference of first ones. That of ReLU is a spike at 0: over the width of a
difference it becomes a box, which holds enough of a sample to be seen. The width does
not depend on the direction, so that the splitting matrix is a matrix there too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

# pullback(function, t) -> (value, pull): pull(g) = g times the derivative, which most
# backends compute from the value in one go.
Pullback = Callable[[Callable[[Any], Any], Any], tuple[Any, Callable[[Any], Any]]]


class Curve(NamedTuple):
    """An activation at some t.

    Attributes:
        value: its value.
        slope: `slope()` is its first derivative.
        bend: `bend(g)` is g times its second derivative.
    """

    value: Any
    slope: Callable[[], Any]
    bend: Callable[[Any], Any]


def _silu(t: Any, pullback: Pullback) -> Curve:
    s, pull = pullback(ops.sigmoid, t)
    value = t * s
    return Curve(value, lambda: s + pull(t), lambda g: pull(g * (2 + t - 2 * value)))


def _sigmoid(t: Any, pullback: Pullback) -> Curve:
    s, pull = pullback(ops.sigmoid, t)
    return Curve(s, lambda: pull(ops.ones_like(s)), lambda g: pull(g * (1 - 2 * s)))


def _tanh(t: Any, pullback: Pullback) -> Curve:
    value, pull = pullback(ops.tanh, t)
    return Curve(value, lambda: pull(ops.ones_like(t)), lambda g: pull(-2 * g * value))


CURVES: dict[Callable[..., Any], Callable[[Any, Pullback], Curve]] = {
    keras.activations.silu: _silu,
    keras.activations.sigmoid: _sigmoid,
    keras.activations.tanh: _tanh,
}


def curve_of(
    function: Callable[[Any], Any],
    t: Any,
    pullback: Pullback,
    *,
    epsilon: float,
    axis: int,
) -> Curve:
    """A function of every element alone, at t.

    Args:
        function: the activation.
        t: its input.
        pullback: how to differentiate.
        epsilon: half the width of a difference, in standard deviations of a channel.
        axis: the axis of t that holds the channels.
    """
    if function in CURVES:
        return CURVES[function](t, pullback)
    value, pull = pullback(function, t)

    def bend(g: Any) -> Any:
        others = [i for i in range(len(t.shape)) if i != axis % len(t.shape)]
        spread = ops.std(t, axis=others, keepdims=True)
        width = epsilon * ops.where(spread > 0, spread, ops.ones_like(spread))
        _, above = pullback(function, t + width)
        _, below = pullback(function, t - width)
        return (above(g) - below(g)) / (2 * width)

    return Curve(value, lambda: pull(ops.ones_like(t)), bend)
