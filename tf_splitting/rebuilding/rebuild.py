"""The same model at other widths, before its weights are set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tf_splitting.errors import ModelError, RebuildError, SplittingError, in_short
from tf_splitting.rebuilding.opening import clone_opening
from tf_splitting.support import assign_copy, copy_compile_settings, scope_of
from tf_splitting.tracing import (
    ChannelGraph,
    Inside,
    layers_in,
    remake,
    resize_for,
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
    arrays: Sequence[Any] | None = None,
    initialized: bool = False,
    unfolded: Iterable[str] = (),
) -> tuple[keras.Model, list[tuple[Any, Any]]]:
    """Clones a model with its spaces at other widths.

    Args:
        model: what was traced.
        graph: its trace.
        widths: of every space.
        class_of: class that a layer is made of, by its own.
        arrays: for those of `graph.constants`, in their order, new ones.
        initialized: see `clone`.
        unfolded: paths of layers that become models of what is in them, though nothing
            in them need change.

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
            before = use.layer.get_config()[use.key]
            entry = list(changes.get(use.key, before))
            entry[use.index] = length
            changes[use.key] = tuple(entry)
    shapes: dict[int, tuple[int | None, ...]] = {}
    for nested in graph.nested_inputs:
        shape = list(nested.tensor.shape)
        # A number has no channels, nor has one for each example.
        if shape and shape[nested.axis] is not None:
            shape[nested.axis] = lay.size(nested.layout, widths)
        shapes[id(nested.tensor)] = tuple(shape)

    def remade(layer: Any, name: str) -> Any:
        return remake(layer, name, sizes.get(id(layer)), class_of)

    # Of those that nobody looked into, only the layers that they hold say their widths.
    looked_into = {id(inside.layer) for inside in graph.insides.values()}
    for layer in layers_in(model):
        resize = resize_for(type(layer))
        if resize is None or id(layer) in looked_into:
            continue
        if any(id(each) in sizes for each in layers_in(layer)):
            sizes[id(layer)] = resize(layer, sizes)
    opened = [graph.insides[path] for path in unfolded]
    for inside in _changed(graph, widths):
        resize = resize_for(type(inside.layer))
        if resize is None:
            opened.append(inside)
        else:
            sizes[id(inside.layer)] = resize(inside.layer, sizes)
    insides = graph.insides.values()
    constants = _constants(graph, widths, arrays)
    try:
        new, variables = clone_opening(
            model,
            insides,
            opened,
            remade,
            shapes,
            constants,
            initialized=initialized,
        )
    except SplittingError:
        raise
    except Exception as error:
        # Of whatever kind: layers of others are called.
        raise RebuildError(
            f"Model {graph.name!r} cannot be rebuilt at other widths: "
            f"{in_short(error)}",
            model,
        ) from error
    for pair in new.layers:
        for old, made in zip(*([each, *layers_in(each)] for each in pair), strict=True):
            # Of a layer in a layer, the config of the outer one does not say it.
            made.trainable = old.trainable
            if isinstance(old, keras.layers.Normalization):
                _adapt(made, old)
    return new.model, variables


def _constants(
    graph: ChannelGraph, widths: Mapping[str, int], arrays: Sequence[Any] | None
) -> dict[tuple[int, int], Any]:
    """What operations are called with in place of arrays, by `id` of the two.

    Raises:
        ModelError: nobody says what.
    """
    if arrays is None:
        for use in graph.constants:
            if lay.size(use.layout, widths) != lay.size(use.layout, graph.widths):
                raise ModelError(
                    f"{use.operation.name!r} has a number of its own for every "
                    "channel, and nobody knows those of a model of other widths. Build "
                    "the model at these widths."
                )
        return {}
    return {
        (id(use.operation), id(use.array)): (
            array
            if isinstance(use.array, np.ndarray)
            else keras.ops.convert_to_tensor(array)
        )
        for use, array in zip(graph.constants, arrays, strict=True)
    }


def resized(
    model: keras.Model,
    graph: ChannelGraph,
    widths: Mapping[str, int],
    arrays: Sequence[Any],
    unfolded: Iterable[str] = (),
) -> keras.Model:
    """A model at other widths whose variables are about to be set, compiled alike.

    Args:
        model: what was traced; compiled.
        graph: its trace.
        widths: of every space.
        arrays, unfolded: see `rebuild`.
    """
    with scope_of(model):
        new, _ = rebuild(model, graph, widths, arrays=arrays, unfolded=unfolded)
        copy_compile_settings(model, new)
        return new


def _changed(graph: ChannelGraph, widths: Mapping[str, int]) -> list[Inside]:
    """The layers made of layers in which something is wider or narrower than before."""

    def changes(layout: lay.Layout) -> bool:
        return lay.size(layout, widths) != lay.size(layout, graph.widths)

    changed = {use.layer for use in graph.activations if changes(use.layout)}
    entered = {id(use.tensor) for use in graph.nested_inputs if changes(use.layout)}
    return [
        inside
        for path, inside in graph.insides.items()
        if any(layer.startswith(f"{path}/") for layer in changed)
        or any(id(tensor) in entered for tensor in inside.model.inputs)
    ]


def _adapt(new: keras.layers.Normalization, old: keras.layers.Normalization) -> None:
    """Lets a layer normalize by what another was adapted to.

    It computes with tensors that it has made of its variables, and not with these.
    """
    for variable, value in zip(new.variables, old.variables, strict=True):
        assign_copy(variable, value)
    new.finalize_state()
