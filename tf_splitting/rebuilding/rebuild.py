"""The same model at other widths, before its weights are set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from tf_splitting.support import assign_copy
from tf_splitting.tracing import (
    ChannelGraph,
    clone,
    leaf_layers,
    remake_layer,
    variable_pairs,
)
from tf_splitting.tracing import layout as lay


def same_class(kind: type) -> type:
    """The class itself."""
    return kind


def rebuild(
    model: keras.Model,
    graph: ChannelGraph,
    widths: Mapping[str, int],
    class_of: Callable[[type], type] = same_class,
    *,
    initialized: bool = False,
) -> tuple[keras.Model, list[tuple[Any, Any]]]:
    """Clones a model with its spaces at other widths.

    Args:
        model: what was traced.
        graph: its trace.
        widths: of every space.
        class_of: class that a layer is made of, by its own.
        initialized: see `clone`.

    Returns:
        The new model, not compiled, and every variable of the old one with its own.
    """
    sizes: dict[int, dict[str, Any]] = {}
    for use in graph.configs:
        changes = sizes.setdefault(id(use.layer), {})
        length = lay.size(use.layout, widths)
        if use.index is None:
            changes[use.key] = length
        else:
            entry = list(use.layer.get_config()[use.key])
            entry[use.index] = length
            changes[use.key] = tuple(entry)
    shapes: dict[int, tuple[int | None, ...]] = {}
    for nested in graph.nested_inputs:
        shape = list(nested.tensor.shape)
        shape[nested.axis] = lay.size(nested.layout, widths)
        shapes[id(nested.tensor)] = tuple(shape)
    new, remade = clone(
        model,
        lambda layer: remake_layer(
            layer, sizes.get(id(layer), {}), class_of(type(layer))
        ),
        shapes,
        initialized=initialized,
    )
    for old in leaf_layers(model):
        if isinstance(old, keras.layers.Normalization) and id(old) in remade:
            _adapt(remade[id(old)], old)
    return new, variable_pairs(model, remade)


def _adapt(new: keras.layers.Normalization, old: keras.layers.Normalization) -> None:
    """Lets a layer normalize by what another was adapted to.

    It computes with tensors that it has made of its variables, and not with these.
    """
    for variable, value in zip(new.variables, old.variables, strict=True):
        assign_copy(variable, value)
    new.finalize_state()
