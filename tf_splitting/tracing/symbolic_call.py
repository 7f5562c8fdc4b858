"""Calls a layer on symbolic tensors, just as a Functional model is made.

That leaves nodes on the layers inside, and whatever the call writes to attributes; all
of it is taken back, so that the user's layer stays as it was.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras

from tf_splitting.errors import in_short
from tf_splitting.tracing.inlining import inlined, takes_training
from tf_splitting.tracing.keras_internals import (
    count_calls,
    forget_calls,
    functional_of,
    has_graph,
    mask_of,
    producer,
    run_through,
    sublayers,
    told_by_call,
    with_mask,
)
from tf_splitting.tracing.limits import settings_of, tensors_of
from tf_splitting.tracing.outline import is_array
from tf_splitting.tracing.own_weights import Tables
from tf_splitting.tracing.replacing import replaced
from tf_splitting.tracing.rewriting import rewritten
from tf_splitting.tracing.small_letters import einsum_in_small_letters
from tf_splitting.tracing.tables import constant


class ClosedError(Exception):
    """A layer cannot be looked into; the message goes on from "it"."""


class ClosedUntilSizedError(ClosedError):
    """The layer might be looked into if the sizes of its inputs were known."""


@dataclass(frozen=True, eq=False)
class StandIns:
    """Symbolic tensors in place of those that a layer is called with.

    Attributes:
        inputs: one for each tensor that is no mask of another.
        places: which of the tensors among the layer's arguments these stand for.
        args, kwargs: for `call`, the tensors replaced.
        masks: those that come along with inputs, by `id`.
    """

    inputs: tuple[Any, ...]
    places: tuple[int, ...]
    args: Any
    kwargs: Mapping[str, Any]
    masks: Mapping[int, Any]

    @property
    def carried(self) -> set[int]:
        """The masks by their own `id`."""
        return {id(mask) for mask in self.masks.values()}


@dataclass(frozen=True, eq=False)
class SymbolicCall:
    """What a layer does with stand-ins.

    Attributes:
        given: the stand-ins.
        outputs: symbolic tensors, in the structure that the call returns.
        nodes: the calls between the two, in order.
    """

    given: StandIns
    outputs: Any
    nodes: tuple[Any, ...]


def stand_ins(
    layer: Any,
    args: Any,
    kwargs: Any,
    names: Sequence[str] = (),
    examples: int | None = None,
    rows: Sequence[int] = (),
) -> StandIns:
    """Symbolic tensors for a layer to be called on.

    Args:
        layer: the layer.
        args, kwargs: what it is called with; tensors are symbolic.
        names: of the inputs, if it matters.
        examples: how many there are in a batch, if it matters.
        rows: of each tensor among the arguments, how many an example has along the
            first axis, as windows of an image; one without.
    """
    inputs: list[Any] = []
    places: list[int] = []
    masks: dict[int, Any] = {}
    place = itertools.count()

    def sized(shape: Sequence[int | None], number: int) -> tuple[int | None, ...]:
        if examples is None or not shape or shape[0] is not None:
            return tuple(shape)
        return (examples * rows_at(rows, number), *shape[1:])

    def stand_in(value: Any) -> Any:
        if not isinstance(value, keras.KerasTensor):
            return value
        number = next(place)
        if id(value) in masks:
            return masks[id(value)]
        places.append(number)
        count = len(inputs)
        name = names[count] if count < len(names) else f"input_{count}"
        shape = sized(value.shape, number)
        tensor = keras.Input(batch_shape=shape, dtype=value.dtype, name=name)
        inputs.append(tensor)
        # What `Layer.__call__` does before `call`.
        given = layer.dtype_policy.convert_input(
            tensor, layer.autocast, layer.input_dtype
        )
        mask = mask_of(value)
        if mask is not None:
            masks[id(mask)] = keras.KerasTensor(sized(mask.shape, number), mask.dtype)
            with_mask(given, masks[id(mask)])
        return given

    args, kwargs = keras.tree.map_structure(stand_in, (args, dict(kwargs)))
    return StandIns(tuple(inputs), tuple(places), args, kwargs, masks)


def rows_at(rows: Sequence[int], place: int) -> int:
    """How many of a tensor's rows an example has: one, if nothing else is known."""
    return rows[place] if place < len(rows) else 1


def call_symbolically(
    layer: Any, given: StandIns, tables: Tables | None = None
) -> SymbolicCall:
    """What a layer does with stand-ins; `left_alone` has to be around it.

    Args:
        layer: the layer.
        given: the stand-ins.
        tables: for weights that the call reads itself.

    Raises:
        ClosedError: it cannot be called like this, or does more than its calls say.
    """
    if given.masks and _reads_masks(layer):
        raise ClosedError("reads the mask that its input carries")
    with keras.StatelessScope(collect_losses=True) as scope:
        try:
            outputs = _called_with_tables(layer, given, tables)
        except ClosedError:
            raise
        except Exception as error:
            # Of whatever kind: it is no call of symbolic tensors.
            if "TensorFlow function" in str(error):
                raise ClosedError(
                    "calls functions of TensorFlow, which cannot be followed; write "
                    "them as those of keras.ops"
                ) from error
            raise ClosedUntilSizedError(
                f"cannot be called on symbolic tensors ({in_short(error, 160)})"
            ) from error
    if scope.state_mapping:
        raise ClosedError("changes variables or draws random numbers")
    if scope.losses:
        raise ClosedError("adds losses")
    inputs = {id(tensor) for tensor in given.inputs}

    def returned(value: Any) -> Any:
        if id(value) in inputs:
            # A model that returns what comes in cannot be called in another.
            return keras.layers.Identity()(value)
        return constant(value, given.inputs[0]) if is_array(value) else value

    outputs = keras.tree.map_structure(returned, outputs)
    results = keras.tree.flatten(outputs)
    nodes = nodes_between(given.inputs, results, given.carried)
    if tables is not None:
        outputs = rewritten(outputs, nodes, tables.plainly(nodes))
        results = keras.tree.flatten(outputs)
        nodes = nodes_between(given.inputs, results, given.carried)
    for node in nodes:
        _check_settings(node)
    if tables is not None and tables.shared(node.operation for node in nodes):
        raise ClosedError("reads a weight itself that a layer in it reads too")
    return SymbolicCall(given, outputs, tuple(nodes))


def _called_with_tables(layer: Any, given: StandIns, tables: Tables | None) -> Any:
    """What a call yields, weights that it reads itself looked up in tables.

    Raises:
        ClosedError: it reads a weight that no table can hold.
    """
    if tables is None:
        return _called(layer, given.args, given.kwargs)
    while True:
        with tables.in_place(given.inputs[0]):
            outputs = _called(layer, given.args, given.kwargs)
        try:
            if not tables.take_in(_sources(keras.tree.flatten(outputs))):
                return outputs
        except ValueError as error:
            raise ClosedError(str(error)) from error


def _sources(outputs: Iterable[Any]) -> list[Any]:
    """The tensors that come from no call and that outputs are made of."""
    found: dict[int, Any] = {}
    waiting, seen = list(outputs), set()
    while waiting:
        tensor = waiting.pop()
        if not isinstance(tensor, keras.KerasTensor) or id(tensor) in seen:
            continue
        seen.add(id(tensor))
        node = producer(tensor)
        if node is None:
            found[id(tensor)] = tensor
        else:
            waiting += tensors_of(node)
    return list(found.values())


def _check_settings(node: Any) -> None:
    """Raises if a call holds tensors or weights that a graph would not know of.

    Raises:
        ClosedError: it does.
    """
    arguments = node.arguments
    held = keras.tree.flatten((arguments.args, dict(arguments.kwargs)))
    if any(isinstance(each, keras.Variable) for each in held) or settings_of(node):
        raise ClosedError(
            f"hands a weight to {node.operation.name!r} in a way that cannot be "
            "followed"
        )


@contextmanager
def left_alone(layer: Any) -> Iterator[None]:
    """Takes back what happens to a layer and to all layers and operations in it."""
    parts = [layer, *layers_in(layer)]
    for each in parts[:]:
        graph = functional_of(each) if has_graph(each) else None
        parts += [] if graph is None else graph.operations
    parts = list({id(each): each for each in parts}.values())
    before = [(dict(vars(each)), count_calls(each)) for each in parts]
    try:
        inside = layers_in(layer)
        with (
            inlined(inside),
            told_by_call(inside),
            einsum_in_small_letters(),
            # Or arrays left of an operator want to know a tensor's numbers.
            replaced(keras.KerasTensor, __array_ufunc__=None),
        ):
            yield
    finally:
        for each, (attributes, counts) in zip(parts, before, strict=True):
            forget_calls(each, counts)
            for name in vars(each).keys() - attributes.keys():
                del vars(each)[name]
            vars(each).update(attributes)


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


def nodes_between(
    inputs: Sequence[Any], outputs: Sequence[Any], masks: Collection[int] = ()
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
            waiting += [(each, False) for each in tensors_of(node)[::-1]]
    return list(found.values())


def _reads_masks(layer: Any) -> bool:
    """Whether `Layer.__call__` would hand masks to `call`."""
    names = inspect.signature(layer.call).parameters
    takes = any(name == "mask" or name.endswith("_mask") for name in names)
    return takes and not has_graph(layer)


def _called(layer: Any, args: Any, kwargs: Any) -> Any:
    """What a call yields; of a nested model, as its own graph has it."""
    if not has_graph(layer):
        if not takes_training(layer):
            # Keras lets it be told, and does not tell it.
            kwargs = {k: v for k, v in kwargs.items() if k != "training"}
        return layer.call(*args, **kwargs)

    def call(node: Any, values: Mapping[int, Any]) -> Any:
        given, named = node.arguments.fill_in(values)
        return node.operation(*given, **named)

    return run_through(functional_of(layer), keras.tree.flatten(args), call)
