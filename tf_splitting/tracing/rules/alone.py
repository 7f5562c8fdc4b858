"""Tensors that are the same for all examples, made of weights and nothing else.

They have no axis of the batch, and are computed once for however many examples. A row
of a table may hold a number for each channel of what it meets, as a scale or a bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras

from tf_splitting.tracing.tracer import Signal, Tracer


def describe_alone(
    tracer: Tracer, operation: Any, inputs: Sequence[Signal]
) -> Signal | tuple[Signal, ...]:
    """Describes a call that makes such a tensor."""
    if not inputs:
        return tracer.number()
    if type(operation) is keras.layers.Embedding and not inputs[0].shape:
        (variable,) = operation.variables
        # One of another shape is a table only until it is reshaped to that.
        if tuple(variable.shape[-1:]) == tracer.output_shape:
            return tracer.looked_up(variable)
    reason = f"{tracer.call.path!r} has nothing to do with the inputs of the model"
    return tracer.opaque(reason, *inputs)


def met(tracer: Tracer, inputs: Sequence[Signal]) -> list[Signal]:
    """What meets element by element, such tensors with as many axes as the others."""
    others = [x for x in inputs if not x.alone]
    rank = max(len(x.shape) for x in inputs)
    found = []
    for x in inputs:
        if x.alone:
            if any(each.axis != x.axis or each.width != x.width for each in others):
                path = tracer.call.path
                tracer.freeze(x, f"{path!r} reads it along other axes than channels")
            x = replace(x, shape=(*[1] * (rank - len(x.shape)), *x.shape))
        found.append(x)
    return found
