"""Layers of any type that act on every element alone, with weights that are numbers.

A learnable scale and shift of a whole tensor is one, whoever wrote it.
"""

from __future__ import annotations

from typing import Any

import keras

from tf_splitting.tracing.inlining import takes_training
from tf_splitting.tracing.keras_internals import sublayers
from tf_splitting.tracing.rules.activations import is_made_of_such
from tf_splitting.tracing.rules.registry import recognizes
from tf_splitting.tracing.tracer import Signal, Tracer
from tf_splitting.tracing.weights_as_arrays import weights_as_arrays


def _is_numbered(layer: Any) -> bool:
    if not isinstance(layer, keras.layers.Layer) or not layer.weights:
        return False
    numbers = all(len(weight.shape) == 0 for weight in layer.weights)
    if not numbers or sublayers(layer) or takes_training(layer):
        return False
    with weights_as_arrays(layer):
        return is_made_of_such(layer.call)


@recognizes(_is_numbered)
def _numbered(tracer: Tracer, layer: Any, x: Signal) -> Signal:
    return tracer.channelwise(tracer.call.run, x, activation=tracer.call.run)
