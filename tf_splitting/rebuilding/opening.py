"""Clones a model, layers becoming models of what is in them where they have to.

A layer that is made of layers stays an object of its class unless something in it
changes, or it cannot be made anew. What is in an opened one has to be saved by itself
from then on; the config of the layer around it made it before, so that its own may
never have been tried.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from typing import Any

import keras

from tf_splitting.tracing import (
    Clone,
    ClosedError,
    Inside,
    RemakeError,
    clone,
    has_graph,
    layers_in,
    look_inside,
    mask_of,
    nodes_of,
    remake,
)


def clone_opening(
    model: keras.Model,
    insides: Iterable[Inside],
    opened: Iterable[Inside] = (),
    made: Callable[[Any, str], Any] = remake,
    shapes: Mapping[int, tuple[int | None, ...]] | None = None,
    *,
    initialized: bool = False,
) -> tuple[Clone, list[tuple[Any, Any]]]:
    """A clone, and every variable of the old model with its own.

    Args:
        model: a Functional or Sequential model.
        insides: of all layers in it that can become nested models.
        opened: those that have to.
        made, shapes, initialized: as `clone` takes them.

    Raises:
        ModelError: an initializer holds an array, which fits one shape only.
        RemakeError: a layer can neither be made anew nor opened.
    """
    insides = list(insides)
    known = {id(each.layer): each for each in insides}
    layers = {id(inside.layer) for inside in opened} | _unsaved(model, known)
    waiting = list(layers)
    while True:
        while waiting:
            around = known[waiting.pop()]
            for node in nodes_of(around.model):
                layer = node.operation
                if id(layer) in layers or _stands_alone(layer):
                    continue
                if id(layer) not in known:
                    inside = _inside(node, around)
                    if inside is None:
                        continue
                    insides.append(inside)
                    known[id(layer)] = inside
                layers.add(id(layer))
                waiting.append(id(layer))
        try:
            now = [each for each in insides if id(each.layer) in layers]
            new = clone(model, made, shapes, now, initialized=initialized)
            return new, new.variables
        except RemakeError as error:
            if id(error.layer) in layers or id(error.layer) not in known:
                raise
            layers.add(id(error.layer))
            waiting.append(id(error.layer))


def _unsaved(model: keras.Model, known: Container[int]) -> set[int]:
    """Layers that a model of a class of its own saves as a whole, by `id`.

    A clone may be of another class, and has to save them one by one.
    """
    if type(model).__module__.startswith("keras."):
        return set()
    return {
        id(each)
        for each in model.layers
        if id(each) in known and not _stands_alone(each)
    }


def _inside(node: Any, around: Inside) -> Inside | None:
    """What is in a layer without weights that is described as it is, if that shows.

    An activation, for example, whose function cannot be saved by its name. Sizes are
    left open, for those of the old model may not be those of the new one.
    """
    layer = node.operation
    calls = [each for each in nodes_of(around.model) if each.operation is layer]
    if layer.weights or len(calls) > 1:
        return None
    args, kwargs = keras.tree.map_structure(
        _open, (node.arguments.args, dict(node.arguments.kwargs))
    )
    masked = [mask_of(tensor) is not None for tensor in node.outputs]
    try:
        found = look_inside(layer, args, kwargs, masked)
    except ClosedError:
        return None
    return replace(found, calls=calls, name=around.names[id(layer)])


def _open(value: Any) -> Any:
    """A tensor of the same rank, its sizes not known; anything else is as it is."""
    if not isinstance(value, keras.KerasTensor):
        return value
    return keras.KerasTensor([None] * len(value.shape), value.dtype)


def _stands_alone(layer: Any) -> bool:
    """Whether a layer can be an item of a model of its own accord.

    It can be made anew, and again from that one's config, written to a file; and its
    shape inference has to take what its call takes.
    """
    if not isinstance(layer, keras.layers.Layer) or has_graph(layer):
        return True
    told = inspect.signature(layer.compute_output_spec).parameters
    kinds = {parameter.kind for parameter in told.values()}
    takes = set(inspect.signature(layer.call).parameters)
    if inspect.Parameter.VAR_KEYWORD not in kinds and not takes <= told.keys():
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            new = remake(layer, layer.name)
            if layers_in(layer) and type(layer).build is keras.layers.Layer.build:
                # Keras builds it by a call, as far as that goes.
                new.build_from_config(layer.get_build_config())
            config = keras.saving.serialize_keras_object(new)
            loaded = keras.saving.deserialize_keras_object(config, safe_mode=False)
    except Exception:
        # Of whatever kind: it is the layer's own code.
        return False
    return not new.built or len(loaded.variables) == len(layer.variables)
