"""A copy of a model that computes in float32, for estimates on mixed precision.

The splitting product divides a difference of activations by ε²: with the eight bits of
a bfloat16 mantissa nothing of it is left.
"""

from __future__ import annotations

from typing import Any

import keras

from tf_splitting.support import copy_compile_settings, scope_of
from tf_splitting.tracing import clone, leaf_layers, remake

_LOW = ("bfloat16", "float16")


def in_float32(model: keras.Model) -> keras.Model:
    """The model itself, or a copy in float32 if a layer computes in less.

    The copy has the same layers, weights and compile settings; variables are float32
    under a mixed policy to begin with.
    """

    def remade(layer: Any, name: str) -> Any:
        low = getattr(layer, "compute_dtype", None) in _LOW
        return remake(layer, name, {"dtype": "float32"} if low else {})

    if not any(layer.compute_dtype in _LOW for layer in leaf_layers(model)):
        return model
    with scope_of(model):
        copy = clone(model, remade)
        for old, new in copy.variables:
            new.assign(old)
        if model.compiled:
            copy_compile_settings(model, copy.model)
    return copy.model
