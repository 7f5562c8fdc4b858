"""Regularizers that know how wide a layer is: it has to stay so.

Those of Keras take any width. One of somebody's own may reshape what it is called with;
it is tried with one channel more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tf_splitting.tracing.tracer import Signal, Tracer

_OF_ANY_WIDTH = (
    keras.regularizers.L1,
    keras.regularizers.L2,
    keras.regularizers.L1L2,
    keras.regularizers.OrthogonalRegularizer,
)


def freeze_regularized(
    tracer: Tracer, layer: Any, inputs: Sequence[Signal], outputs: Sequence[Signal]
) -> None:
    """Freezes what a layer reads and makes if its regularizers take no other width."""
    path = tracer.call.path
    activity = getattr(layer, "activity_regularizer", None)
    if activity is not None:
        for y in outputs:
            if not _takes(activity, _wider([n or 2 for n in y.shape], y.axis)):
                reason = f"the activity regularizer of {path!r} takes no other width"
                tracer.freeze(y, reason)
    for variable in getattr(layer, "trainable_variables", ()):
        shape = list(variable.shape)
        axes = range(max(-2, -len(shape)), 0)
        if not all(_takes(variable.regularizer, _wider(shape, axis)) for axis in axes):
            for each in (*inputs, *outputs):
                reason = f"a regularizer of {path!r} takes no other shape of its weight"
                tracer.freeze(each, reason)


def _wider(shape: list[int], axis: int) -> list[int]:
    return [n + (place == axis % len(shape)) for place, n in enumerate(shape)]


def _takes(regularizer: Any, shape: list[int]) -> bool:
    """Whether a regularizer can be called with numbers of this shape."""
    if regularizer is None or type(regularizer) in _OF_ANY_WIDTH:
        return True
    try:
        regularizer(ops.zeros(shape))
    except Exception:
        # Of whatever kind: it is somebody's own code.
        return False
    return True
