"""Clones a model through the functional API, with some layers made anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from tf_splitting.keras_graph import has_graph, input_name


def clone(
    model: keras.Model,
    remake: Callable[[Any], Any],
    input_shapes: Mapping[int, tuple[int | None, ...]] | None = None,
) -> tuple[keras.Model, dict[int, Any]]:
    """Rebuilds a model's graph, nested models and shared layers included.

    Args:
        model: a Functional or Sequential model.
        remake: new layer for an old one.
        input_shapes: new shapes, batch axis first, of inputs of nested models, by `id`
            of the old input tensor.

    Returns:
        The new model, not compiled, with the old one's name, class and layer names;
        and the new layer for each old one, by `id` of the old.
    """
    remade: dict[int, Any] = {}
    models: dict[int, keras.Model] = {}
    shapes = input_shapes or {}

    def make(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer):
            return layer  # a keras.ops operation has no state of its own
        if has_graph(layer):
            if id(layer) not in models:
                models[id(layer)] = copy(layer)
            return models[id(layer)]
        if id(layer) not in remade:
            remade[id(layer)] = remake(layer)
        return remade[id(layer)]

    def new_input(tensor: Any) -> Any:
        return keras.Input(
            batch_shape=shapes.get(id(tensor), tensor.shape),
            dtype=tensor.dtype,
            name=input_name(tensor),
        )

    def copy(old: keras.Model) -> keras.Model:
        if isinstance(old, keras.Sequential):
            layers = [make(layer) for layer in old.layers]
            return keras.Sequential([new_input(old.inputs[0]), *layers], name=old.name)
        # A shell without compile settings: clone_model would try to serialize those,
        # which fails for losses that are plain functions.
        shell = keras.Model(old.input, old.output, name=old.name)
        inputs = keras.tree.map_structure(new_input, old.input)
        return keras.models.clone_model(
            shell, input_tensors=inputs, clone_function=make
        )

    return copy(model), remade


def remake_layer(layer: Any, changes: dict[str, Any], kind: type) -> Any:
    """A new layer of class `kind` and the old one's config, some entries changed."""
    return kind.from_config({**layer.get_config(), **changes})
