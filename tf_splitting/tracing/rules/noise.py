"""Layers of any type that hand on what comes in, and do something to it in training.

Dropout of whole branches is such a layer, whoever wrote it. In inference it is nothing;
in training it stays the layer that it is, as long as it takes any number of channels.
"""

from __future__ import annotations

from typing import Any

import keras

from tf_splitting.tracing.inlining import takes_training
from tf_splitting.tracing.keras_internals import sublayers, true_shapes
from tf_splitting.tracing.rules.registry import recognizes
from tf_splitting.tracing.symbolic_call import left_alone
from tf_splitting.tracing.tracer import Signal, Tracer


@recognizes
def _noise(tracer: Tracer, layer: Any, *xs: Signal) -> Signal | None:
    if not isinstance(layer, keras.layers.Layer) or layer.weights or sublayers(layer):
        return None
    if len(xs) != 1 or len(tracer.call.shapes) != 1 or not takes_training(layer):
        return None
    (x,) = xs
    for more in (0, 1):
        shape = list(x.shape)
        shape[x.axis] = x.width + more
        if not _hands_on(layer, keras.KerasTensor(shape, layer.compute_dtype)):
            return None
    return tracer.channelwise(tracer.call.run, x, linear_part=lambda change: change)


def _hands_on(layer: Any, x: keras.KerasTensor) -> bool:
    """Whether a tensor comes out as it is, and one of its shape in training."""
    with left_alone(layer):
        try:
            if layer.call(x, training=False) is not x:
                return False
        except Exception:
            # Of whatever kind: it is the layer's own code.
            return False
        trained = true_shapes(lambda x: layer.call(x, training=True), [x])
    return trained == [tuple(x.shape)]
