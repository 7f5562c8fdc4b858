"""Clipping between limits that are tensors, such as weights.

Keras makes an operation of it that holds them as settings, where a graph knows nothing
of them. The lower of a limit and what is the higher of a tensor and the other is the
same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tf_splitting.tracing.keras_internals import operation_types


def settings_of(node: Any) -> list[Any]:
    """Tensors and weights that an operation holds for itself."""
    if isinstance(node.operation, keras.layers.Layer):
        return []
    kinds = (keras.Variable, keras.KerasTensor)
    return [each for each in vars(node.operation).values() if isinstance(each, kinds)]


def tensors_of(node: Any) -> list[Any]:
    """What a call is made with, what its operation holds among it."""
    held = [x for x in settings_of(node) if isinstance(x, keras.KerasTensor)]
    return [*node.input_tensors, *held]


def between_limits(node: Any, now: Callable[[Any], Any]) -> list[Any] | None:
    """How to clip between limits that are not all numbers: see `rewriting.Instead`."""
    if type(node.operation) not in _CLIP or not settings_of(node):
        return None
    (x,) = node.input_tensors
    low, high = (now(getattr(node.operation, name)) for name in ("x_min", "x_max"))
    return [keras.ops.minimum(keras.ops.maximum(now(x), low), high)]


_CLIP = operation_types(lambda x: keras.ops.clip(x, 0, 1))
