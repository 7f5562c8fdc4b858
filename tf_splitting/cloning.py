"""Clones a model through the functional API, with some layers made anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


def clone(
    model: keras.Model, remake: Callable[[Any], Any]
) -> tuple[keras.Model, dict[int, Any]]:
    """Rebuilds a model's graph, nested models and shared layers included.

    Args:
        model: a Functional or Sequential model.
        remake: new layer for an old one.

    Returns:
        The new model, not compiled, with the old one's name, class and layer names;
        and the new layer for each old one, by `id` of the old.
    """
    remade: dict[int, Any] = {}

    def clone_layer(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer):
            return layer  # a keras.ops operation has no state of its own
        if id(layer) not in remade:
            remade[id(layer)] = remake(layer)
        return remade[id(layer)]

    # A shell without compile settings: clone_model would try to serialize those, which
    # fails for losses that are plain functions.
    if isinstance(model, keras.Sequential):
        shell: keras.Model = keras.Sequential(model.layers, name=model.name)
        shell.build(model.input_shape)
    else:
        shell = keras.Model(model.input, model.output, name=model.name)
    new = keras.models.clone_model(shell, clone_function=clone_layer, recursive=True)
    return new, remade


def remake_layer(layer: Any, changes: dict[str, Any], kind: type) -> Any:
    """A new layer of class `kind` and the old one's config, some entries changed."""
    return kind.from_config({**layer.get_config(), **changes})
