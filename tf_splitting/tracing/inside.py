"""Looks into layers that are made of layers, and into models that are subclasses.

A `call` that is written with Keras layers and `keras.ops` says what it computes when it
is called on symbolic tensors. Where that shows less than the layer does (weights that
are not those of a layer inside, state that changes, something else in training)
nothing is assumed.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras

from tf_splitting.tracing.any_batch import call_at_any_batch
from tf_splitting.tracing.inlining import in_training, takes_training
from tf_splitting.tracing.keras_internals import (
    functional_of,
    has_graph,
    mask_of,
    nodes_of,
    settle_batch,
    sublayers,
    with_mask,
)
from tf_splitting.tracing.outline import fits, outline
from tf_splitting.tracing.own_weights import Tables
from tf_splitting.tracing.symbolic_call import (
    ClosedError,
    ClosedUntilSizedError,
    SymbolicCall,
    call_symbolically,
    layers_in,
    left_alone,
    nodes_between,
    rows_at,
    stand_ins,
)

# What stands for sizes that are not known.
_BATCH, _SIZE = 2, 64


@dataclass(frozen=True, eq=False)
class Inside:
    """What a layer computes, as a graph of the layers and operations in it.

    Attributes:
        layer: the layer; it is not changed.
        model: a Functional model over the very layers inside. Its inputs stand for
            tensors that the layer is called with. The calls in it are not noted on
            these layers, so that it can be read and cloned, but not extended.
        places: which of the tensors among the layer's arguments these are; the others
            are masks that come along with one of them.
        names: of the layers and operations in it, to any depth, by `id`. No two in one
            graph are alike, and they are the same whenever a layer of its config is
            looked into.
        masked: whether its results carry the mask of what came in.
        calls: of the layer, of which this is what they compute: nodes. A layer without
            weights may compute something else in others; none if it is a whole model.
        name: of the nested model that the layer may become.
    """

    layer: keras.layers.Layer
    model: keras.Model
    places: tuple[int, ...]
    names: dict[int, str]
    masked: bool
    name: str
    calls: list[Any] = field(default_factory=list)


def look_inside(
    layer: Any,
    args: Any,
    kwargs: Any,
    masked: Sequence[bool],
    names: Sequence[str] = (),
    rows: Sequence[int] = (),
) -> Inside:
    """The graph of a layer's call.

    Args:
        layer: built, or without weights.
        args, kwargs: what it is called with; tensors are symbolic.
        masked: of each tensor that it returns, whether it carries a mask.
        names: of the inputs, if it matters.
        rows: of each tensor among the arguments, how many an example has along the
            first axis, as windows of an image; one without.

    Raises:
        ClosedError: it has no such graph, or one that does not say everything.
    """
    tables = Tables(layer, layers_in(layer))
    if tables.unnamed:
        raise ClosedError("has weights of its own that no attribute of it holds")
    inside, at_sizes = _graph(layer, tables, args, kwargs, names, rows)
    if any(masked) != inside.masked or not (all(masked) or not any(masked)):
        raise ClosedError("makes a mask, or hands on one that the layers in it do not")
    if not at_sizes:
        sized, _ = _graph(layer, tables, *_sized((args, dict(kwargs)), rows))
        if not fits(outline(inside.model), outline(sized.model)):
            raise ClosedError(
                "holds numbers that depend on sizes not known before a call"
            )
    if any(map(takes_training, [layer, *filter(sublayers, layers_in(layer))])):
        told = {"training": True} if takes_training(layer) else {}
        try:
            with in_training():
                training, _ = _graph(layer, tables, args, {**kwargs, **told}, rows=rows)
        except ClosedError as error:
            raise ClosedError(f"{error}, in training") from None
        if outline(inside.model) != outline(training.model):
            raise ClosedError("computes something else in training")
    return inside


def _sized(arguments: Any, rows: Sequence[int]) -> Any:
    """The same arguments, tensors of known sizes in place of those of unknown."""
    found: dict[int, Any] = {}
    place = itertools.count()

    def resized(value: Any, batch: int) -> Any:
        known = [batch, *[_SIZE] * len(value.shape)]
        shape = [size or other for size, other in zip(value.shape, known)]
        return keras.KerasTensor(shape, value.dtype)

    def sized(value: Any) -> Any:
        if not isinstance(value, keras.KerasTensor):
            return value
        batch = _BATCH * rows_at(rows, next(place))
        if id(value) not in found:
            found[id(value)] = resized(value, batch)
            mask = mask_of(value)
            if mask is not None:
                found.setdefault(id(mask), resized(mask, batch))
                with_mask(found[id(value)], found[id(mask)])
        return found[id(value)]

    return keras.tree.map_structure(sized, arguments)


def one_or_all(tensors: Sequence[Any]) -> Any:
    """What a model of that many inputs is made of, and called with."""
    return tensors if len(tensors) > 1 else tensors[0]


def operations_of(function: Any, width: int) -> list[tuple[Any, tuple[Any, ...]]]:
    """The operations that a function of one tensor of this width is made of.

    Returns:
        Each with what it is called with: symbolic tensors, and anything else.

    Raises:
        ClosedError: it is not made of operations on its input.
    """
    x = keras.Input((None, None, width))
    with keras.StatelessScope() as scope:
        try:
            outputs = keras.tree.flatten(function(x))
        except Exception as error:
            # Of whatever kind: it is no function of symbolic tensors.
            raise ClosedError("cannot be called on symbolic tensors") from error
    if scope.state_mapping:
        raise ClosedError("changes variables or draws random numbers")
    nodes = nodes_between([x], outputs)
    arguments = (
        keras.tree.flatten((n.arguments.args, n.arguments.kwargs)) for n in nodes
    )
    return [(n.operation, tuple(given)) for n, given in zip(nodes, arguments)]


def _graph(
    layer: Any,
    tables: Tables,
    args: Any,
    kwargs: Any,
    names: Sequence[str] = (),
    rows: Sequence[int] = (),
) -> tuple[Inside, bool]:
    """What is in a layer, and whether it was followed at several sizes to see that."""
    with left_alone(layer):
        try:
            given = stand_ins(layer, args, kwargs, names)
            called = call_symbolically(layer, given, tables)
            _settle(called)
            return _inside(layer, called), False
        except ClosedUntilSizedError as error:
            if not _is_sized((args, kwargs)):
                hint = "; it might be if to_functional fixed the sizes of the model"
                raise ClosedError(f"{error}{hint}") from error
            try:
                called = call_at_any_batch(layer, args, kwargs, names, tables, rows)
                _settle(called)
            except ClosedUntilSizedError as other:
                raise error from other
            return _inside(layer, called), True


def _is_sized(arguments: Any) -> bool:
    """Whether nothing but the size of a batch is open."""
    tensors = [
        each
        for each in keras.tree.flatten(arguments)
        if isinstance(each, keras.KerasTensor)
    ]
    return all(None not in tensor.shape[1:] for tensor in tensors)


def _settle(called: SymbolicCall) -> None:
    """Lets reshapings infer the size of the batch.

    Raises:
        ClosedUntilSizedError: other sizes are open too.
    """
    operations = _called_in(called.nodes)
    if not all(settle_batch(each) for each in operations if not _is_layer(each)):
        raise ClosedUntilSizedError(
            "reads sizes that are not known before it is called"
        )


def _inside(layer: Any, called: SymbolicCall) -> Inside:
    operations = _called_in(called.nodes)
    names = _names(operations)
    for nested in operations:
        names |= _names_in(nested)
    inputs = called.given.inputs
    with _renamed(operations, names):
        try:
            model = keras.Model(one_or_all(inputs), called.outputs, name=layer.name)
        except ValueError as error:
            # Keras before 3.14 makes no model with an input that nothing reads.
            raise ClosedError(f"makes no model ({error})") from error
    carried = called.given.carried
    masked = all(id(mask_of(tensor)) in carried for tensor in model.outputs)
    return Inside(layer, model, called.given.places, names, masked, layer.name)


def _called_in(nodes: Iterable[Any]) -> list[Any]:
    """What calls are of, each once."""
    return list({id(node.operation): node.operation for node in nodes}.values())


def _names(operations: Iterable[Any]) -> dict[int, str]:
    """Names, no two alike; not those that count what else was ever made."""
    names: dict[int, str] = {}
    # Layers first: they may have been given names.
    for operation in sorted(operations, key=lambda each: not _is_layer(each)):
        kind = _snake(type(operation).__name__)
        made_up = re.fullmatch(rf"{kind}(_\d+)?", operation.name)
        name = unique = kind if made_up or not _is_layer(operation) else operation.name
        count = 0
        while unique in names.values():
            count += 1
            unique = f"{name}_{count}"
        names[id(operation)] = unique
    return names


def _names_in(operation: Any) -> dict[int, str]:
    """Names in a nested model, to any depth."""
    functional = functional_of(operation) if has_graph(operation) else None
    if functional is None:
        return {}
    operations = _called_in(nodes_of(functional))
    names = _names(operations)
    for nested in operations:
        names |= _names_in(nested)
    return names


def _snake(name: str) -> str:
    """What Keras makes of a class's name."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


@contextmanager
def _renamed(operations: Sequence[Any], names: dict[int, str]) -> Iterator[None]:
    """Gives operations these names for a while: no two in a model may be alike."""
    before = [each.name for each in operations]
    try:
        for each in operations:
            vars(each)["name"] = names[id(each)]
        yield
    finally:
        for each, name in zip(operations, before, strict=True):
            vars(each)["name"] = name


def _is_layer(operation: Any) -> bool:
    return isinstance(operation, keras.layers.Layer)
