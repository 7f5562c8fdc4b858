"""Reads the calls of a Functional or Sequential model, nested models inlined.

Layers that are made of layers are inlined like nested models, where `inside` can look
into them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras

from tf_splitting.tracing.input_shapes import input_shapes
from tf_splitting.tracing.inside import Inside, look_inside
from tf_splitting.tracing.keras_internals import (
    has_graph,
    input_name,
    is_reshaping,
    mask_of,
    nodes_of,
    sublayers,
    true_shapes,
    with_mask,
)
from tf_splitting.tracing.readable import readable
from tf_splitting.tracing.sizes import rows_behind
from tf_splitting.tracing.symbolic_call import ClosedError, left_alone
from tf_splitting.tracing.tables import (
    is_zero,
    makes_zeros,
    says_more,
    takes_first,
    zero_alone,
)

# The shape of a number for each example.
_EACH = (None,)


@dataclass(frozen=True)
class Call:
    """One call of a layer or operation in the flattened graph.

    `inputs` and `outputs` are tensor numbers, `shapes` those of the outputs with the
    batch axis first; `path` is the layer's name behind the names of the nested models
    around it. `run` computes the output structure from the input tensors. `extras`
    are the arguments besides the tensors, as in `x * 0.5`, and `arguments` all that
    were passed by position, tensors symbolic; `plain` says that there are no extras,
    and that every tensor was passed by position. `masked` says that an output
    carries a Keras mask. `alone` says that no input of the model has to do with what
    comes out, which has no axis of the batch. `rows` is how many entries along that
    axis an example has in what comes in: several, if positions were folded into it.
    `closed` says why nobody can look inside, if that was tried. `counted` says that a
    number of each example is taken, of which zeros are made and nothing else: what
    matters is how many examples there are.
    """

    operation: Any
    path: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shapes: tuple[tuple[int | None, ...], ...]
    run: Callable[..., Any]
    extras: tuple[Any, ...]
    arguments: tuple[Any, ...]
    plain: bool
    masked: bool
    alone: bool
    rows: int
    closed: str | None
    counted: bool = False


@dataclass(frozen=True)
class FlatGraph:
    """A model as a list of calls in order of execution.

    `nested` holds, for every call of a nested model and each of its inputs, the nested
    model's own input tensor and the number of the tensor that it stands for. `insides`
    are what was found in layers that are made of layers, by path.
    """

    calls: tuple[Call, ...]
    inputs: tuple[int, ...]
    input_names: tuple[str, ...]
    outputs: tuple[int, ...]
    shapes: dict[int, tuple[int | None, ...]]
    nested: tuple[tuple[Any, int], ...]
    insides: dict[str, Inside]


def calls_of(
    model: keras.Model, is_known: Callable[[Any], bool], input_shape: Any = None
) -> FlatGraph:
    """Lists every call of a built Functional or Sequential model.

    Args:
        model: the model; it is left as it was.
        is_known: whether a layer describes itself. Others are looked into.
        input_shape: sizes of the inputs, if the model leaves some open.

    Raises:
        ModelError: it is no model, is subclassed (it has no graph), or is not built.
    """
    functional = readable(model)
    shapes = input_shapes(model, input_shape)
    different: dict[int, str] = {}
    while True:
        reader = _Reader(is_known, different)
        inputs = [reader.number(shape) for shape in shapes]
        try:
            outputs = reader.read(functional, inputs, prefix="", names={})
        except _CalledDifferentlyError as error:
            different[id(error.layer)] = "is called in ways that do not agree"
        else:
            break
    return FlatGraph(
        calls=tuple(reader.read_calls(outputs)),
        inputs=tuple(inputs),
        input_names=tuple(input_name(tensor) for tensor in functional.inputs),
        outputs=tuple(outputs),
        shapes=reader.shapes,
        nested=tuple(reader.nested),
        insides=reader.insides,
    )


class _CalledDifferentlyError(Exception):
    """A layer that was looked into is called in another way too."""

    def __init__(self, layer: Any) -> None:
        super().__init__(layer.name)
        self.layer = layer


class _Reader:
    def __init__(
        self, is_known: Callable[[Any], bool], different: Mapping[int, str]
    ) -> None:
        self.calls: list[Call] = []
        self.shapes: dict[int, tuple[int | None, ...]] = {}
        self.nested: list[tuple[Any, int]] = []
        self.insides: dict[str, Inside] = {}
        self._is_known = is_known
        # Why layers are, but for those with weights and no layers in them.
        self._closed: dict[int, str | None] = dict(different)
        # Tensors that are handed to a layer as the masks that others carry.
        self._masks: set[int] = set()
        # Zeros that are summed up.
        self._zeros: set[int] = set()
        # Those that have nothing to do with any input.
        self._alone: set[int] = set()
        # Entries of each example along the axis of the batch, if not one.
        self._rows: dict[int, int] = {}
        # What layers that were looked into are called with, what that showed, and its
        # path, by `id`.
        self._ways: dict[int, list[tuple[Any, Inside, str]]] = {}
        self._taken: set[str] = set()

    def number(self, shape: tuple[int | None, ...]) -> int:
        index = len(self.shapes)
        self.shapes[index] = tuple(shape)
        return index

    def read(
        self,
        functional: Any,
        inputs: list[int],
        prefix: str,
        names: Mapping[int, str],
    ) -> list[int]:
        numbers = {id(t): i for t, i in zip(functional.inputs, inputs, strict=True)}
        paths = {
            id(node.operation): prefix
            + names.get(id(node.operation), node.operation.name)
            for node in nodes_of(functional)
        }
        self._taken.update(paths.values())
        for node in nodes_of(functional):
            arguments = [numbers[id(t)] for t in node.input_tensors]
            results = self._call(node, arguments, paths[id(node.operation)], names)
            for tensor, index in zip(node.outputs, results, strict=True):
                numbers[id(tensor)] = index
        return [numbers[id(tensor)] for tensor in functional.outputs]

    def read_calls(self, outputs: Iterable[int]) -> list[Call]:
        """The calls, without those that make masks which go along anyway, or zeros."""
        wanted, masks, zeros = set(outputs), set(self._masks), set(self._zeros)
        numbers = set(outputs)
        found = []
        for call in reversed(self.calls):
            unread = wanted.isdisjoint(call.outputs)
            if unread and masks.issuperset(call.outputs):
                masks.update(call.inputs)
            elif unread and zeros.issuperset(call.outputs) and makes_zeros(call):
                zeros.update(call.inputs)
            elif unread and zeros.issuperset(call.outputs) and takes_first(call):
                # What it takes from stays, though nothing reads its numbers.
                wanted.update(call.inputs)
            else:
                wanted.update(call.inputs)
                if not makes_zeros(call):
                    numbers.update(call.inputs)
                counted = takes_first(call) and numbers.isdisjoint(call.outputs)
                found.append(replace(call, counted=counted and call.shapes[0] == _EACH))
        return found[::-1]

    def _call(
        self, node: Any, inputs: list[int], path: str, names: Mapping[int, str]
    ) -> list[int]:
        operation = node.operation
        if _is_nested(node):
            functional = readable(operation)
            self.nested.extend(zip(functional.inputs, inputs, strict=True))
            return self.read(functional, inputs, path + "/", names)
        opened = self._inside(node, inputs, path)
        if opened is not None:
            inside, path = opened
            given = [inputs[place] for place in inside.places]
            self._masks.update(set(inputs) - set(given))
            self.nested.extend(zip(inside.model.inputs, given, strict=True))
            return self.read(inside.model, given, path + "/", inside.names)
        run = _runner(node)
        shapes = self._shapes_behind(node, inputs, run)
        if is_zero(node):
            self._zeros.update(inputs)
            inputs, run = [], zero_alone
        rows = self._rows_of(inputs)
        outputs = [self.number(shape) for shape in shapes]
        behind = self._rows_behind(node, rows, inputs, shapes)
        self._rows.update(dict.fromkeys(outputs, behind))
        extras, by_name = _further_arguments(node)
        self.calls.append(
            Call(
                operation=operation,
                path=path,
                inputs=tuple(inputs),
                outputs=tuple(outputs),
                shapes=tuple(shapes),
                run=run,
                extras=tuple(extras),
                arguments=tuple(node.arguments.args),
                plain=not extras and not by_name,
                masked=any(mask_of(tensor) is not None for tensor in node.outputs),
                alone=self._alone.issuperset(inputs),
                rows=rows,
                closed=self._closed.get(id(operation)),
            )
        )
        if self.calls[-1].alone:
            self._alone.update(outputs)
        return outputs

    def _rows_of(self, inputs: Iterable[int]) -> int:
        return max((self._rows.get(index, 1) for index in inputs), default=1)

    def _rows_behind(
        self,
        node: Any,
        rows: int,
        inputs: list[int],
        shapes: list[tuple[int | None, ...]],
    ) -> int:
        if not is_reshaping(node.operation):
            return rows
        folded = rows_behind(rows, self.shapes[inputs[0]], shapes[0])
        return rows if folded is None else folded

    def _shapes_behind(
        self, node: Any, inputs: list[int], run: Callable[..., Any]
    ) -> list[tuple[int | None, ...]]:
        """Shapes of a call's results, as far as those of its inputs say them.

        What a layer says of itself may be wrong, if nobody has described it, and so
        are those that were told behind it then.
        """
        told = [tuple(tensor.shape) for tensor in node.outputs]
        known = [self.shapes[index] for index in inputs]
        sized = all(None not in shape[1:] for shape in known)
        unsure = any(None in shape[1:] for shape in told) or known != [
            tuple(tensor.shape) for tensor in node.input_tensors
        ]
        if self._is_known(node.operation) and not (sized and unsure):
            return told
        tensors = [
            keras.KerasTensor(shape, tensor.dtype)
            for shape, tensor in zip(known, node.input_tensors, strict=True)
        ]
        if not isinstance(node.operation, keras.layers.Layer):
            found = true_shapes(run, tensors)
        else:
            with left_alone(node.operation):
                found = true_shapes(run, tensors)
        return told if found is None else list(map(_surely, found, told))

    def _inside(
        self, node: Any, inputs: list[int], path: str
    ) -> tuple[Inside, str] | None:
        """What is in the layer that is called, and where; None if it is closed."""
        layer = node.operation
        if not isinstance(layer, keras.layers.Layer) or self._is_known(layer):
            return None
        way = _way(node), tuple(self.shapes[index] for index in inputs)
        ways = self._ways.setdefault(id(layer), [])
        for known, inside, place in ways:
            if known == way:
                inside.calls.append(node)
                return inside, place
        # With weights it would become several layers that share them. A nested model
        # that is called in several ways calls what is in it by the same nodes.
        seen = any(node is other for _, inside, _ in ways for other in inside.calls)
        if ways and (layer.weights or seen):
            raise _CalledDifferentlyError(layer)
        if id(layer) in self._closed:
            return None
        leaf = layer.weights and not sublayers(layer)
        first, count = path, len(ways)
        while ways and path in self._taken:
            path, count = f"{first}_{count}", count + 1
        try:
            masked = [mask_of(tensor) is not None for tensor in node.outputs]
            args, kwargs = self._as_known(node, inputs)
            rows = [self._rows.get(index, 1) for index in inputs]
            found = look_inside(layer, args, kwargs, masked, rows=rows)
        except ClosedError as error:
            if ways:
                raise _CalledDifferentlyError(layer) from error
            self._closed[id(layer)] = str(error)
            return None
        if leaf and not says_more(found.model):
            self._closed[id(layer)] = "does with its weights what cannot be followed"
            return None
        inside = replace(found, name=path.rsplit("/", 1)[-1], calls=[node])
        ways.append((way, inside, path))
        self.insides[path] = inside
        self._taken.add(path)
        return inside, path

    def _as_known(self, node: Any, inputs: list[int]) -> tuple[Any, Any]:
        """The arguments of a call, tensors of the shapes that were inferred."""
        known: dict[int, Any] = {}
        for tensor, index in zip(node.input_tensors, inputs, strict=True):
            shape = self.shapes[index]
            if tuple(tensor.shape) != shape:
                known[id(tensor)] = keras.KerasTensor(shape, tensor.dtype)
        for tensor in node.input_tensors:
            if id(tensor) in known:
                mask = mask_of(tensor)
                with_mask(known[id(tensor)], known.get(id(mask), mask))
        return keras.tree.map_structure(
            lambda each: known.get(id(each), each),
            (node.arguments.args, dict(node.arguments.kwargs)),
        )


def _surely(
    true: tuple[int | None, ...], told: tuple[int | None, ...]
) -> tuple[int | None, ...]:
    """A shape; sizes that cannot be found are those that were told."""
    if len(true) != len(told):
        return true
    return tuple(b if a is None else a for a, b in zip(true, told))


def _is_nested(node: Any) -> bool:
    """Whether it is a call of a nested model, whose own graph says what it does.

    That graph knows nothing of masks that come with the inputs.
    """
    masked = any(mask_of(tensor) is not None for tensor in node.input_tensors)
    return has_graph(node.operation) and not masked


def _way(node: Any) -> Any:
    """In what way a layer is called; calls in the same way have the same inside."""

    def told(value: Any) -> Any:
        if isinstance(value, keras.KerasTensor):
            return value.shape, value.dtype, mask_of(value) is not None
        return repr(value)

    arguments = node.arguments
    return keras.tree.map_structure(told, (arguments.args, dict(arguments.kwargs)))


def _further_arguments(node: Any) -> tuple[list[Any], list[Any]]:
    """Arguments of a call that are no tensors, and tensors passed by name.

    The first one is the same by name as by position: `layer(inputs=x)`.
    """
    tensors = {id(t) for t in node.input_tensors}
    args = node.arguments.args
    named = {k: v for k, v in node.arguments.kwargs.items() if k != "training"}
    first = next(iter(inspect.signature(node.operation.call).parameters), None)
    if not args and first in named:
        args = (named.pop(first),)
    leaves = keras.tree.flatten((args, named))
    extras = [v for v in leaves if v is not None and id(v) not in tensors]
    return extras, [v for v in keras.tree.flatten(named) if id(v) in tensors]


def carrying_mask(run: Callable[..., Any]) -> Callable[..., Any]:
    """`run`, its result carrying the first mask among its tensors, as layers do."""

    def masked(*tensors: Any) -> Any:
        masks = [m for m in map(mask_of, tensors) if m is not None]
        return with_mask(run(*tensors), masks[0] if masks else None)

    return masked


def _runner(node: Any) -> Callable[..., Any]:
    """A function of the call's tensors, its other arguments filled in."""
    order = {id(t): i for i, t in enumerate(node.input_tensors)}
    operation, arguments = node.operation, node.arguments
    is_layer = isinstance(operation, keras.layers.Layer)

    def run(*tensors: Any) -> Any:
        def fill(value: Any) -> Any:
            return tensors[order[id(value)]] if id(value) in order else value

        args, kwargs = keras.tree.map_structure(
            fill, (arguments.args, dict(arguments.kwargs))
        )
        if is_layer:
            kwargs["training"] = False
        return operation(*args, **kwargs)

    return run
