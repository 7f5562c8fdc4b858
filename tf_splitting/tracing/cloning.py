"""Clones a model through the functional API, with some layers made anew."""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tf_splitting.errors import ModelError, SplittingWarning, in_short
from tf_splitting.tracing.input_shapes import filled_in
from tf_splitting.tracing.inside import Inside, one_or_all
from tf_splitting.tracing.keras_internals import (
    count_calls,
    functional_of,
    has_graph,
    input_name,
    mask_of,
    nodes_of,
    run_through,
    true_shapes,
)
from tf_splitting.tracing.remaking import RemakeError
from tf_splitting.tracing.symbolic_call import layers_in
from tf_splitting.tracing.tables import weight_behind
from tf_splitting.tracing.watching import watch


@dataclass(frozen=True)
class Clone:
    """A model rebuilt.

    Attributes:
        model: the new one, not compiled, with the old one's name, class and layer
            names.
        layers: every layer that was made anew, with the new one.
    """

    model: keras.Model
    layers: list[tuple[Any, Any]]

    @property
    def variables(self) -> list[tuple[Any, Any]]:
        """The variables of all these layers, old and new.

        Raises:
            RemakeError: a layer made anew has others, or no longer shares its own.
        """
        found: list[tuple[Any, Any]] = []
        holders: dict[int, Any] = {}
        for old, new in self.layers:
            for variable in old.variables:
                other = holders.setdefault(id(variable), old)
                if other is not old:
                    # The one that holds a layer, and not that layer itself.
                    outer = old if layers_in(old) else other
                    raise RemakeError(
                        outer, f"{variable.path!r} is a weight of another layer too"
                    )
            if len(old.variables) != len(new.variables):
                raise RemakeError(
                    old,
                    f"it has {len(new.variables)} variables then, not "
                    f"{len(old.variables)}",
                )
            found += zip(old.variables, new.variables)
        return found


def clone(
    model: keras.Model | Inside,
    remake: Callable[[Any, str], Any],
    input_shapes: Mapping[int, tuple[int | None, ...]] | None = None,
    insides: Iterable[Inside] = (),
    constants: Mapping[tuple[int, int], Any] | None = None,
    *,
    initialized: bool = False,
) -> Clone:
    """Rebuilds a model's graph, nested models and shared layers included.

    Args:
        model: a Functional or Sequential model, or what is in another.
        remake: `remake(layer, name)` is a new layer or operation, of this name, for an
            old one.
        input_shapes: new shapes, batch axis first, of inputs of nested models, by `id`
            of the old input tensor.
        insides: of layers that become nested models of what is in them.
        constants: what operations are called with in place of arrays, by `id` of the
            operation and the array.
        initialized: whether weights start where their initializers say; those whose
            values are set afterwards need not, and start at zero.

    Raises:
        ModelError: an initializer holds an array, which fits one shape only.
        RemakeError: a layer cannot be made anew.
    """
    made: dict[int, tuple[Any, Any]] = {}
    # Models and layers that have become models, by what they were.
    models: dict[int, keras.Model] = {}
    insides = list(insides)
    shapes, arrays = input_shapes or {}, constants or {}
    opened = {id(call): inside for inside in insides for call in inside.calls}
    whole = isinstance(model, Inside)
    once = _called_once([*insides, model] if whole else insides)
    initializers: list[tuple[Any, str, Any]] = []

    def make(layer: Any, names: Mapping[int, str]) -> Any:
        name = names.get(id(layer), layer.name)
        if not isinstance(layer, keras.layers.Layer):
            return remake(layer, name)
        if has_graph(layer):
            if id(layer) not in models:
                models[id(layer)] = copy(layer, name, names)
            return models[id(layer)]
        if id(layer) not in made:
            new = made_anew(layer, name)
            made[id(layer)] = layer, new
            if initialized:
                _check_start(layer)
                _check_initializers(new)
            else:
                initializers.extend(_set_aside_initializers(new))
        return made[id(layer)][1]

    def made_anew(layer: Any, name: str) -> Any:
        try:
            return remake(layer, name)
        except RemakeError as error:
            around = model.layer if isinstance(model, Inside) else model
            if error.layer is not layer or not watch(layer, around):
                raise
            return remake(layer, name)

    def new_shape(tensor: Any) -> tuple[int | None, ...]:
        return tuple(shapes.get(id(tensor), tensor.shape))

    def new_input(tensor: Any) -> Any:
        return keras.Input(
            batch_shape=new_shape(tensor),
            dtype=tensor.dtype,
            name=input_name(tensor),
        )

    def copy_graph(
        old: keras.Model, name: str, names: Mapping[int, str]
    ) -> keras.Model:
        inputs = keras.tree.map_structure(new_input, old.input)
        outputs = run_through(
            old,
            keras.tree.flatten(inputs),
            lambda node, values: call(node, values, names),
        )
        return keras.Model(inputs, outputs, name=name)

    def call(node: Any, values: Mapping[int, Any], names: Mapping[int, str]) -> Any:
        layer = made_of(node, names)
        args, kwargs = keras.tree.map_structure(
            lambda each: arrays.get((id(node.operation), id(each)), each),
            node.arguments.fill_in(values),
        )
        if kwargs.get("training", 0) is None:
            # It is as good as not said, but not all layers that are told take it.
            del kwargs["training"]
        try:
            if id(node.operation) in once:
                _tell_lengths(layer, values[id(node.input_tensors[0])])
            if id(node) in opened:
                inside = opened[id(node)]
                tensors = [values[id(node.input_tensors[n])] for n in inside.places]
                known = map(new_shape, inside.model.inputs)
                return layer(one_or_all(list(map(_of_shape, tensors, known))))
            return layer(*args, **kwargs)
        except Exception as error:
            if id(node.operation) not in made:
                raise
            # Of whatever kind: it is the layer's own code.
            reason = f"it cannot be called then ({in_short(error)})"
            raise RemakeError(node.operation, reason) from error

    def made_of(node: Any, names: Mapping[int, str]) -> Any:
        inside = opened.get(id(node))
        if inside is None:
            return make(node.operation, names)
        if id(inside) not in models:
            models[id(inside)] = open_up(inside)
        return models[id(inside)]

    def open_up(inside: Inside) -> keras.Model:
        new = copy_graph(inside.model, inside.name, inside.names)
        # Or Keras would warn that it loses the mask.
        new.supports_masking = inside.masked
        return new

    def copy(old: keras.Model, name: str, names: Mapping[int, str]) -> keras.Model:
        if isinstance(old, keras.Sequential):
            layers = [made_of(node, names) for node in nodes_of(functional_of(old))]
            kind = _constructor(old, keras.Sequential)
            return kind([new_input(old.inputs[0]), *layers], name=name)
        new = copy_graph(old, name, names)
        kind = _constructor(old, type(new))
        if kind is not type(new):
            new = kind(new.input, new.output, name=name)
        new.supports_masking = old.supports_masking
        return new

    new = open_up(model) if whole else copy(model, model.name, {})
    for layer, name, value in initializers:
        setattr(layer, name, value)
    return Clone(new, list(made.values()))


def _called_once(insides: Iterable[Inside]) -> set[int]:
    """The products that a layer which becomes a model calls once, by `id`."""
    inner = [
        node.operation
        for each in insides
        for node in nodes_of(each.model)
        if isinstance(node.operation, keras.layers.EinsumDense)
    ]
    counts = Counter(map(id, inner))
    alone = [each for each in inner if count_calls(each) == (0, 0)]
    return {id(each) for each in alone if counts[id(each)] == 1}


def _tell_lengths(layer: keras.layers.EinsumDense, x: Any) -> None:
    """Lets a product say what lengths it takes over from its input; it need not.

    A layer around it, such as attention, says them in its place, or is called with
    tensors that have them. A model of what is in it would leave them open, and what is
    flattened behind would have no length.
    """
    told = layer.partial_output_shape
    if None not in told:
        return
    layer.build(x.shape)
    shapes = true_shapes(layer.call, [x])
    if shapes is not None:
        known = shapes[0][-len(told) :]
        layer.partial_output_shape = tuple(n or m for n, m in zip(told, known))


def _of_shape(tensor: Any, shape: tuple[int | None, ...]) -> Any:
    """A tensor of which a layer may have told a wrong shape, seen to have the true one.

    Nothing happens to it when the model is called.
    """
    agrees = filled_in(tuple(tensor.shape), shape) is not None
    if agrees or shape.count(None) > 1 or mask_of(tensor) is not None:
        return tensor
    return keras.ops.reshape(tensor, [-1 if n is None else n for n in shape])


def _constructor(old: keras.Model, base: type[keras.Model]) -> type[keras.Model]:
    """The class of a model if it can be made as its base class is, else the base."""
    kind = type(old)
    if kind.__init__ is base.__init__:
        return kind
    parameters = inspect.signature(kind.__init__).parameters.values()
    anything = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    if anything <= {parameter.kind for parameter in parameters}:
        return kind
    warnings.warn(
        f"Model {old.name!r} is a {kind.__name__}, whose constructor does not take "
        f"what {base.__name__} takes, so that it cannot be made at other widths. The "
        f"result is a plain {base.__name__}: methods such as train_step are lost. "
        "Give the class a constructor of the form __init__(self, *args, **kwargs).",
        SplittingWarning,
        stacklevel=2,
    )
    return base


def _initializers(layer: Any) -> dict[str, Any]:
    """A layer's initializers by attribute."""
    return {
        name: value
        for name, value in vars(layer).items()
        if isinstance(value, keras.initializers.Initializer)
    }


def _holds_array(initializer: Any) -> bool:
    return np.ndim(getattr(initializer, "value", 0)) > 0


def _check_start(layer: Any) -> None:
    weight = weight_behind(layer)
    if weight is not None:
        raise ModelError(
            f"Layer {weight.owner.name!r} of type {type(weight.owner).__name__} reads "
            f"its weight {weight.attribute!r} itself, and nobody knows what it starts "
            "at in a layer of another width. Let a layer of Keras hold it, such as a "
            "Dense or an Embedding."
        )


def _check_initializers(layer: Any) -> None:
    for name, initializer in _initializers(layer).items():
        if _holds_array(initializer):
            raise ModelError(
                f"Layer {layer.name!r} has a {name} that holds an array, which fits "
                "one shape only. Give it one that works for any width."
            )


def _set_aside_initializers(layer: Any) -> list[tuple[Any, str, Any]]:
    """Makes a layer start at zero, which is fast; returns what is to be put back.

    Its weights are set afterwards. An initializer that holds an array fits the old
    shape only and is not put back.
    """
    found = _initializers(layer)
    for name in found:
        setattr(layer, name, keras.initializers.Zeros())
    return [
        (layer, name, value) for name, value in found.items() if not _holds_array(value)
    ]
