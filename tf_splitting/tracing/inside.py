"""Looks into layers that are made of layers, and into models that are subclasses.

A `call` that is written with Keras layers and `keras.ops` says what it computes when it
is called on symbolic tensors, just as a Functional model is made. That leaves nodes on
the layers inside, and whatever the call writes to attributes; all of it is taken back,
so that the user's layer stays as it was.

Where that shows less than the layer does (weights that are not those of a layer inside,
state that changes, something else in training) nothing is assumed.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras

from tf_splitting.errors import in_short
from tf_splitting.tracing.keras_internals import (
    count_calls,
    forget_calls,
    functional_of,
    has_graph,
    mask_of,
    nodes_of,
    producer,
    seed_generators,
    settle_batch,
    sublayers,
    with_mask,
)

# What stands for sizes that are not known.
_BATCH, _SIZE = 2, 64


class ClosedError(Exception):
    """A layer cannot be looked into; the message goes on from "it"."""


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
    """

    layer: keras.layers.Layer
    model: keras.Model
    places: tuple[int, ...]
    names: dict[int, str]
    masked: bool


def look_inside(
    layer: Any,
    args: Any,
    kwargs: Any,
    masked: Sequence[bool],
    names: Sequence[str] = (),
) -> Inside:
    """The graph of a layer's call.

    Args:
        layer: built, or without weights.
        args, kwargs: what it is called with; tensors are symbolic.
        masked: of each tensor that it returns, whether it carries a mask.
        names: of the inputs, if it matters.

    Raises:
        ClosedError: it has no such graph, or one that does not say everything.
    """
    if _has_own_weights(layer):
        raise ClosedError("has weights besides those of the layers in it")
    inside = _graph(layer, args, kwargs, names)
    if any(masked) != inside.masked or not (all(masked) or not any(masked)):
        raise ClosedError("makes a mask, or hands on one that the layers in it do not")
    sized = _graph(layer, *_sized((args, dict(kwargs))))
    if not _fits(_outline(inside.model), _outline(sized.model)):
        raise ClosedError("holds numbers that depend on sizes not known before a call")
    if "training" in inspect.signature(layer.call).parameters:
        try:
            training = _graph(layer, args, {**kwargs, "training": True})
        except ClosedError as error:
            raise ClosedError(f"{error}, in training") from None
        if _outline(inside.model) != _outline(training.model):
            raise ClosedError("computes something else in training")
    return inside


def _sized(arguments: Any) -> Any:
    """The same arguments, tensors of known sizes in place of those of unknown."""
    found: dict[int, Any] = {}

    def sized(value: Any) -> Any:
        if not isinstance(value, keras.KerasTensor):
            return value
        if id(value) not in found:
            known = [_BATCH, *[_SIZE] * len(value.shape)]
            shape = [size or other for size, other in zip(value.shape, known)]
            tensor = keras.KerasTensor(shape, value.dtype)
            mask = mask_of(value)
            found[id(value)] = (
                tensor if mask is None else with_mask(tensor, sized(mask))
            )
        return found[id(value)]

    return keras.tree.map_structure(sized, arguments)


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
    nodes = _nodes([x], outputs, ())
    arguments = (
        keras.tree.flatten((n.arguments.args, n.arguments.kwargs)) for n in nodes
    )
    return [(n.operation, tuple(given)) for n, given in zip(nodes, arguments)]


def layers_in(layer: Any) -> list[Any]:
    """All layers in a layer, to any depth."""
    found: dict[int, Any] = {}
    waiting = sublayers(layer)
    while waiting:
        each = waiting.pop(0)
        if id(each) not in found:
            found[id(each)] = each
            waiting += sublayers(each)
    return list(found.values())


def _has_own_weights(layer: Any) -> bool:
    theirs = {id(v) for each in sublayers(layer) for v in each.variables}
    seeds = {id(generator.state) for generator in seed_generators(layer)}
    return any(id(v) not in theirs | seeds for v in layer.variables)


def _graph(
    layer: Any, args: Any, kwargs: Any, given_names: Sequence[str] = ()
) -> Inside:
    inputs: list[Any] = []
    places: list[int] = []
    masks: dict[int, Any] = {}
    place = itertools.count()

    def stand_in(value: Any) -> Any:
        if not isinstance(value, keras.KerasTensor):
            return value
        number = next(place)
        if id(value) in masks:
            return masks[id(value)]
        places.append(number)
        count = len(inputs)
        name = given_names[count] if count < len(given_names) else f"input_{count}"
        tensor = keras.Input(batch_shape=value.shape, dtype=value.dtype, name=name)
        inputs.append(tensor)
        # What `Layer.__call__` does before `call`.
        given = layer.dtype_policy.convert_input(
            tensor, layer.autocast, layer.input_dtype
        )
        mask = mask_of(value)
        if mask is not None:
            masks[id(mask)] = keras.KerasTensor(mask.shape, mask.dtype)
            with_mask(given, masks[id(mask)])
        return given

    with _left_alone(layer):
        args, kwargs = keras.tree.map_structure(stand_in, (args, dict(kwargs)))
        if masks and _reads_masks(layer):
            raise ClosedError("reads the mask that its input carries")
        with keras.StatelessScope(collect_losses=True) as scope:
            try:
                outputs = _called(layer, args, kwargs)
            except Exception as error:
                # Of whatever kind: it is no call of symbolic tensors.
                raise ClosedError(
                    f"cannot be called on symbolic tensors ({in_short(error, 100)})"
                ) from error
        if scope.state_mapping:
            raise ClosedError("changes variables or draws random numbers")
        if scope.losses:
            raise ClosedError("adds losses")
        carried = {id(mask) for mask in masks.values()}
        operations = _operations(inputs, keras.tree.flatten(outputs), carried)
        if not all(settle_batch(each) for each in operations if not _is_layer(each)):
            raise ClosedError("reads sizes that are not known before it is called")
        names = _names(operations)
        for nested in operations:
            names |= _names_in(nested)
        with _renamed(operations, names):
            given = inputs if len(inputs) > 1 else inputs[0]
            try:
                model = keras.Model(given, outputs, name=layer.name)
            except ValueError as error:
                # Keras before 3.14 makes no model with an input that nothing reads.
                raise ClosedError(f"makes no model ({error})") from error
        masked = all(id(mask_of(tensor)) in carried for tensor in model.outputs)
        return Inside(layer, model, tuple(places), names, masked)


def _reads_masks(layer: Any) -> bool:
    """Whether `Layer.__call__` would hand masks to `call`."""
    names = inspect.signature(layer.call).parameters
    takes = any(name == "mask" or name.endswith("_mask") for name in names)
    return takes and not has_graph(layer)


def _called(layer: Any, args: Any, kwargs: Any) -> Any:
    """What a call yields; of a nested model, as its own graph has it."""
    if not has_graph(layer):
        return layer.call(*args, **kwargs)
    functional = functional_of(layer)
    tensors = keras.tree.flatten(args)
    values = {id(t): v for t, v in zip(functional.inputs, tensors, strict=True)}
    for node in nodes_of(functional):
        given, named = node.arguments.fill_in(values)
        results = keras.tree.flatten(node.operation(*given, **named))
        values.update(zip(map(id, node.outputs), results, strict=True))
    return keras.tree.map_structure(lambda t: values[id(t)], functional.output)


@contextmanager
def _left_alone(layer: Any) -> Iterator[None]:
    """Takes back what happens to a layer and to all layers and operations in it."""
    parts = [layer, *layers_in(layer)]
    for each in parts[:]:
        graph = functional_of(each) if has_graph(each) else None
        parts += [] if graph is None else graph.operations
    parts = list({id(each): each for each in parts}.values())
    before = [(dict(vars(each)), count_calls(each)) for each in parts]
    try:
        yield
    finally:
        for each, (attributes, counts) in zip(parts, before, strict=True):
            forget_calls(each, counts)
            for name in vars(each).keys() - attributes.keys():
                del vars(each)[name]
            vars(each).update(attributes)


def _operations(
    inputs: Sequence[Any], outputs: Sequence[Any], masks: Collection[int]
) -> list[Any]:
    """The layers and operations between tensors, in the order of being called."""
    return _called_in(_nodes(inputs, outputs, masks))


def _called_in(nodes: Iterable[Any]) -> list[Any]:
    """What calls are of, each once."""
    return list({id(node.operation): node.operation for node in nodes}.values())


def _nodes(
    inputs: Sequence[Any], outputs: Sequence[Any], masks: Collection[int]
) -> list[Any]:
    """The calls between tensors, in order.

    Args:
        inputs, outputs: tensors.
        masks: those that inputs carry, by `id`.

    Raises:
        ClosedError: there is more to the outputs than the inputs.
    """
    known = {id(tensor) for tensor in inputs}
    found: dict[int, Any] = {}
    waiting: list[tuple[Any, bool]] = [(tensor, False) for tensor in outputs[::-1]]
    while waiting:
        tensor, ready = waiting.pop()
        if not isinstance(tensor, keras.KerasTensor):
            raise ClosedError("returns something that does not depend on its inputs")
        node = producer(tensor)
        if ready:
            found.setdefault(id(node), node)
        elif id(tensor) in known:
            continue
        elif id(tensor) in masks:
            raise ClosedError("reads the mask that its input carries")
        elif node is None:
            raise ClosedError("reads a tensor that is none of its inputs")
        else:
            known.update(id(each) for each in node.outputs)
            waiting.append((tensor, True))
            waiting += [(each, False) for each in node.input_tensors[::-1]]
    return list(found.values())


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


def _outline(model: keras.Model) -> Any:
    """What is called on what, with which arguments but for `training`: plain data."""
    numbers: dict[int, int] = {id(t): n for n, t in enumerate(model.inputs)}

    def told(value: Any) -> Any:
        if id(value) in numbers:
            return "tensor", numbers[id(value)]
        if isinstance(value, dict):
            return {key: told(each) for key, each in value.items()}
        if isinstance(value, (tuple, list)):
            return [told(each) for each in value]
        if hasattr(value, "shape") and hasattr(value, "dtype"):
            array = keras.ops.convert_to_numpy(value)
            return str(array.shape), str(array.dtype), array.tobytes()
        return value if value is None or isinstance(value, int) else repr(value)

    calls = []
    for node in nodes_of(model):
        operation = node.operation
        kwargs = {k: v for k, v in node.arguments.kwargs.items() if k != "training"}
        # What holds no weights may have been made for this very call.
        held = _is_layer(operation) and operation.weights
        settings = id(operation) if held else _settings(operation)
        calls.append(told([settings, node.arguments.args, kwargs]))
        for tensor in node.outputs:
            numbers[id(tensor)] = len(numbers)
    return [calls, [numbers[id(tensor)] for tensor in model.outputs]]


def _settings(operation: Any) -> Any:
    if _is_layer(operation):
        try:
            config = {**operation.get_config(), "name": None}
        except NotImplementedError:
            config = {"": id(operation)}
        return [type(operation).__name__, config]
    hidden = {"name", *vars(keras.Operation())}
    settings = {k: v for k, v in vars(operation).items() if k not in hidden}
    return [type(operation).__name__, settings]


def _fits(general: Any, special: Any) -> bool:
    """Whether two outlines are the same but for sizes that the first leaves open."""
    if isinstance(general, dict) and isinstance(special, dict):
        return general.keys() == special.keys() and all(
            _fits(general[key], special[key]) for key in general
        )
    if isinstance(general, (tuple, list)) and isinstance(special, (tuple, list)):
        pairs = zip(general, special)
        return len(general) == len(special) and all(_fits(a, b) for a, b in pairs)
    left_open = general is None or general == -1
    return (left_open and isinstance(special, int)) or general == special
