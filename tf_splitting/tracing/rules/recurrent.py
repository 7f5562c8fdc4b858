"""Recurrent layers: described only as far as their cost; all they touch is frozen."""

from __future__ import annotations

from typing import Any

import keras

from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.tracer import Signal, Tracer

_GATES = {keras.layers.LSTM: 4, keras.layers.GRU: 3, keras.layers.SimpleRNN: 1}


@register(*_GATES, any_arguments=True)
def _recurrent(tracer: Tracer, layer: Any, *xs: Signal) -> tuple[Signal, ...]:
    return _frozen(tracer, xs, [layer])


@register(keras.layers.Bidirectional, any_arguments=True)
def _bidirectional(tracer: Tracer, layer: Any, *xs: Signal) -> tuple[Signal, ...]:
    return _frozen(tracer, xs, [layer.forward_layer, layer.backward_layer])


def _frozen(
    tracer: Tracer, xs: tuple[Signal, ...], layers: list[Any]
) -> tuple[Signal, ...]:
    macs: int | None = 0
    _, steps, features = xs[0].shape
    for layer in layers:
        if type(layer) not in _GATES:
            tracer.leave_uncounted()
        elif steps is None or features is None:
            macs = None
        elif macs is not None:
            units = _GATES[type(layer)] * layer.units
            macs += steps * units * (features + layer.units)
    return tracer.opaque(
        f"{tracer.call.path!r} is recurrent: every step mixes its channels with "
        "those of the step before",
        *xs,
        macs=macs,
    )
