"""Layers of any type that leave channels apart, with weights that know nothing of them.

A learnable scale and shift of a whole tensor is such a layer, whoever wrote it. Nor do
weights for what is in each head of attention, whose channels are the heads: the layer
is followed with its weights as arrays, to see what it does along their axis.
"""

from __future__ import annotations

from typing import Any

import keras

from tf_splitting.tracing.following import Describe, ModelTracer
from tf_splitting.tracing.inlining import takes_training
from tf_splitting.tracing.keras_graph import FlatGraph, calls_of
from tf_splitting.tracing.keras_internals import sublayers
from tf_splitting.tracing.outline import outline
from tf_splitting.tracing.rules.activations import is_made_of_such
from tf_splitting.tracing.rules.registry import describe, is_known, recognizes
from tf_splitting.tracing.symbolic_call import (
    ClosedError,
    call_symbolically,
    left_alone,
    stand_ins,
)
from tf_splitting.tracing.ties import whole
from tf_splitting.tracing.tracer import Signal, Tracer
from tf_splitting.tracing.weights_as_arrays import weights_as_arrays


@recognizes
def _apart(tracer: Tracer, layer: Any, *xs: Signal) -> Signal | None:
    if not _has_weights_of_its_own(layer):
        return None
    if len(xs) != 1 or len(tracer.call.shapes) != 1:
        return None
    (x,) = xs
    if _acts_on_elements(layer):
        return tracer.channelwise(tracer.call.run, x, activation=tracer.call.run)
    outlines = []
    for more in (0, 1):
        shape = list(x.shape)
        shape[x.axis] = x.width + more
        try:
            model = _followed(layer, tuple(shape))
        except ClosedError:
            return None
        flat = calls_of(model, is_known)
        if not _Apart(flat, x.axis).keeps_apart(describe):
            return None
        outlines.append(outline(model))
    if outlines[0] != outlines[1]:
        return None
    return tracer.channelwise(tracer.call.run, x)


def _has_weights_of_its_own(layer: Any) -> bool:
    """Whether it is a layer that nobody looks into because of its weights alone."""
    return (
        isinstance(layer, keras.layers.Layer)
        and bool(layer.weights)
        and not sublayers(layer)
        and not takes_training(layer)
    )


def _acts_on_elements(layer: Any) -> bool:
    """Whether its weights are numbers, and it acts on every element alone."""
    if any(len(weight.shape) > 0 for weight in layer.weights):
        return False
    with weights_as_arrays(layer):
        return is_made_of_such(layer.call)


def _followed(layer: Any, shape: tuple[int | None, ...]) -> keras.Model:
    """What a layer does, its weights as arrays, with a tensor of this shape.

    Raises:
        ClosedError: it cannot be followed.
    """
    x = keras.KerasTensor(shape, layer.compute_dtype)
    with left_alone(layer), weights_as_arrays(layer):
        called = call_symbolically(layer, stand_ins(layer, (x,), {}))
        return keras.Model(called.given.inputs[0], called.outputs)


class _Apart(ModelTracer):
    """Follows the channels on an axis of a model's only input.

    Args:
        flat: the model's calls.
        axis: counted from the end.
    """

    def __init__(self, flat: FlatGraph, axis: int) -> None:
        super().__init__(flat, split_untrainable=False)
        (index,) = flat.inputs
        shape = flat.shapes[index]
        width = shape[axis]
        assert width is not None
        self._group = self._record.ties.new_group(width, "")
        self._signals[index] = Signal(index, shape, axis, ((self._group, 1),))

    def keeps_apart(self, describe: Describe) -> bool:
        """Whether each channel comes out where it went in, and is not mixed."""
        self._go_through(describe)
        group = self._group.root()
        results = [self._signals[index] for index in self._flat.outputs]
        (given,) = self._flat.inputs
        return group.frozen is None and [
            (each.shape, each.axis, whole(each.blocks)) for each in results
        ] == [(self._flat.shapes[given], self._signals[given].axis, ((group, 1),))]
