"""Layers that Keras has only since a release newer than the oldest one supported.

The one place that knows: rules ask for layers by name here, and any other name that is
missing is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any

import keras

from tf_splitting.tracing.keras_internals import operation_types

# The first release that has a layer.
SINCE = {
    f"Adaptive{kind}Pooling{n}D": (3, 13)
    for kind in ("Average", "Max")
    for n in (1, 2, 3)
} | {"ReversibleEmbedding": (3, 12)}
# Operations that the oldest release lacks.
NEWER_FUNCTIONS = {
    *("array_split", "cbrt", "deg2rad", "erfc", "fmax", "fmin", "fmod", "hypot"),
    *("layer_normalization", "logaddexp2", "nanmax", "nanmean", "nanmin", "nansum"),
    *("ptp", "rad2deg", "sinc"),
}


def existing_types(names: Iterable[str], arity: int = 1) -> set[type]:
    """The operations that functions of so many tensors leave; see the next."""
    return {
        kind
        for function in existing_functions(names)
        for kind in operation_types(function, arity)
    }


def existing_functions(names: Iterable[str]) -> list[Callable[..., Any]]:
    """The functions of these names in `keras.ops`; newer ones may be missing.

    Raises:
        AttributeError: one is missing that every supported release should have.
    """
    return _existing(keras.ops, names, NEWER_FUNCTIONS)


def existing_layers(names: Iterable[str]) -> list[type[keras.layers.Layer]]:
    """The classes of these names; those of newer releases may be missing.

    Raises:
        AttributeError: one is missing that every supported release should have.
    """
    return _existing(keras.layers, names, SINCE)


def _existing(module: Any, names: Iterable[str], newer: Container[str]) -> list[Any]:
    return [
        getattr(module, name)
        for name in names
        if name not in newer or hasattr(module, name)
    ]
