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
from contextlib import suppress
from dataclasses import replace
from typing import Any

import keras

from tf_splitting.tracing import (
    Clone,
    ClosedError,
    Inside,
    RemakeError,
    clone,
    filled_in,
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
    constants: Mapping[tuple[int, int], Any] | None = None,
    *,
    initialized: bool = False,
) -> tuple[Clone, list[tuple[Any, Any]]]:
    """A clone, and every variable of the old model with its own.

    Args:
        model: a Functional or Sequential model.
        insides: of all layers in it that can become nested models.
        opened: those that have to.
        made, shapes, constants, initialized: as `clone` takes them.

    Raises:
        ModelError: an initializer holds an array, which fits one shape only.
        RemakeError: a layer can neither be made anew nor opened.
    """
    insides = list(insides)
    known = {id(each.layer): each for each in insides}
    layers = {id(inside.layer) for inside in opened} | _unsaved(model, known)
    if layers:
        layers |= {id(each.layer) for each in insides if _tells_wrong_shapes(each)}
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
            new = clone(model, made, shapes, now, constants, initialized=initialized)
            return new, new.variables
        except RemakeError as error:
            if id(error.layer) not in known:
                insides += _somewhere(error.layer, insides)
                known = {id(each.layer): each for each in insides}
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


def _tells_wrong_shapes(inside: Inside) -> bool:
    """Whether a layer says of what it returns that it has shapes which it has not.

    What is called with that in a model has the true ones.
    """
    return any(
        filled_in(tuple(told.shape), tuple(true.shape)) is None
        for node in inside.calls
        for told, true in zip(node.outputs, inside.model.outputs, strict=True)
    )


def _somewhere(layer: Any, insides: Iterable[Inside]) -> list[Inside]:
    """What is in a layer that is in one of others, if that shows."""
    nodes = ((n, each) for each in insides for n in nodes_of(each.model))
    found = (_inside(n, each) for n, each in nodes if n.operation is layer)
    return [each for each in found if each is not None][:1]


def _inside(node: Any, around: Inside) -> Inside | None:
    """What is in a layer that is described as it is, if that shows.

    An activation, for example, whose function cannot be saved by its name. Sizes are
    left open if they can be, for those of the old model may not be those of the new.
    """
    layer = node.operation
    calls = [each for each in nodes_of(around.model) if each.operation is layer]
    if len(calls) > 1:
        return None
    given = node.arguments.args, dict(node.arguments.kwargs)
    masked = [mask_of(tensor) is not None for tensor in node.outputs]
    for args, kwargs in (keras.tree.map_structure(_open, given), given):
        with suppress(ClosedError):
            found = look_inside(layer, args, kwargs, masked)
            return replace(found, calls=calls, name=around.names[id(layer)])
    return None


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
