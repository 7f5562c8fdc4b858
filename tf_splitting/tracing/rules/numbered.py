"""Layers of any type that act on every element alone, with weights that are numbers.

A learnable scale and shift of a whole tensor is one, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from tf_splitting.tracing.inlining import takes_training
from tf_splitting.tracing.keras_internals import sublayers
from tf_splitting.tracing.rules.activations import is_made_of_such
from tf_splitting.tracing.rules.registry import recognizes
from tf_splitting.tracing.tracer import Signal, Tracer


def _is_numbered(layer: Any) -> bool:
    if not isinstance(layer, keras.layers.Layer) or not layer.weights:
        return False
    numbers = all(len(weight.shape) == 0 for weight in layer.weights)
    if not numbers or sublayers(layer) or takes_training(layer):
        return False
    with _as_numbers(layer):
        return is_made_of_such(layer.call)


@contextmanager
def _as_numbers(layer: Any) -> Iterator[None]:
    """Puts numbers in the place of a layer's weights for a while.

    Of a variable times a symbolic tensor, backends make nothing.
    """
    own = {k: v for k, v in vars(layer).items() if isinstance(v, keras.Variable)}
    vars(layer).update({name: float(variable) for name, variable in own.items()})
    try:
        yield
    finally:
        vars(layer).update(own)


@recognizes(_is_numbered)
def _numbered(tracer: Tracer, layer: Any, x: Signal) -> Signal:
    return tracer.channelwise(tracer.call.run, x, activation=tracer.call.run)
