"""Weights that a call reads itself, as layers of a graph.

A graph of plain Keras layers has no place for a weight that is not read by a layer of
its own, such as a class token, a table of positions, or the kernel of another layer. An
`Embedding` of one row has: it holds the numbers, and looks up row 0 whatever comes in.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

import keras

from tf_splitting.tracing.keras_internals import (
    is_cast,
    nodes_of,
    operation_types,
    producer,
    seed_generators,
    sublayers,
)
from tf_splitting.tracing.products import as_product, product_layer
from tf_splitting.tracing.rewriting import Instead


def own_weights(layer: Any) -> list[Any]:
    """The weights of a layer besides those of the layers in it."""
    theirs = {id(v) for each in sublayers(layer) for v in each.variables}
    seeds = {id(generator.state) for generator in seed_generators(layer)}
    return [v for v in layer.variables if id(v) not in theirs | seeds]


class Tables:
    """Tables for those weights of a layer, and of layers in it, that its call reads.

    Which these are shows when it is called: symbolic tensors that come from nowhere
    stand for all weights at first.

    Args:
        layer: the layer.
        inner: all layers in it.
    """

    def __init__(self, layer: Any, inner: Iterable[Any]) -> None:
        self._layer = layer
        self._held = [
            (each, {k: v for k, v in vars(each).items() if _is_variable(v)})
            for each in (layer, *inner)
        ]
        self._tables: dict[int, keras.layers.Embedding] = {}
        # What stands for weights without a table, and for those that have one.
        self._strangers: dict[int, tuple[Any, Any, Any]] = {}
        self._looked_up: dict[int, tuple[Any, Any, Any]] = {}
        self._products: dict[tuple[int, str | None], Any] = {}

    @property
    def unnamed(self) -> list[Any]:
        """Weights of the layer itself that no attribute holds, but a list or so."""
        held = {id(variable) for variable in self._held[0][1].values()}
        return [v for v in own_weights(self._layer) if id(v) not in held]

    def take_in(self, tensors: Iterable[Any]) -> list[Any]:
        """The weights that tensors stand for and that have no table yet; they get one.

        Raises:
            ValueError: a table cannot hold such a weight.
        """
        found = [self._strangers[id(t)] for t in tensors if id(t) in self._strangers]
        for _, owner, variable in found:
            self._tables[id(variable)] = _table(owner, variable)
        return [variable for _, _, variable in found]

    def shared(self, operations: Iterable[Any]) -> bool:
        """Whether other layers of a graph hold a weight that is in a table too."""
        ours = {id(each) for each in (*self._tables.values(), *self._products.values())}
        layers = [x for x in operations if isinstance(x, keras.layers.Layer)]
        held = [
            {
                id(v): id(each)
                for each in layers
                if (id(each) in ours) is own
                for v in each.variables
            }
            for own in (True, False)
        ]
        return bool(held[0].keys() & held[1].keys())

    def products(self, nodes: Sequence[Any]) -> Instead:
        """How to multiply with weights: by layers that hold them.

        Args:
            nodes: all calls; a weight that several of them read stays in its table.
        """
        readers = Counter(id(x) for node in nodes for x in node.input_tensors)

        def instead(node: Any, now: Callable[[Any], Any]) -> list[Any] | None:
            found = as_product(node, self._looked_up)
            if found is None:
                return None
            x, weight, equation = found
            if readers[id(weight)] > 1:
                return None
            _, owner, variable = self._looked_up[id(weight)]
            key = id(variable), equation
            if key not in self._products:
                self._products[key] = product_layer(
                    variable,
                    _policy(owner, variable),
                    equation,
                    x.shape,
                    node.outputs[0].shape,
                )
            layer = self._products[key]
            return None if layer is None else [layer(now(x))]

        return instead

    @contextmanager
    def in_place(self, x: Any) -> Iterator[None]:
        """Puts what stands for weights in their place for a while.

        Layers that are called meanwhile have their own.

        Args:
            x: a symbolic tensor that the layer is called with.
        """
        row = zero(x) if self._tables else None
        stand_ins: dict[int, Any] = {}
        self._strangers, self._looked_up = {}, {}
        for owner, held in self._held:
            for variable in held.values():
                table = self._tables.get(id(variable))
                if id(variable) in stand_ins:
                    continue
                if table is None:
                    dtype = _policy(owner, variable).compute_dtype
                    tensor = keras.KerasTensor(variable.shape, dtype)
                    self._strangers[id(tensor)] = tensor, owner, variable
                else:
                    tensor = table(row)
                    if len(variable.shape) != 1:
                        tensor = keras.ops.reshape(tensor, variable.shape)
                    self._looked_up[id(tensor)] = tensor, owner, variable
                stand_ins[id(variable)] = tensor
        with ExitStack() as stack:
            stack.enter_context(_converting())
            for layer, _ in self._held[1:]:
                stack.enter_context(
                    _instead(layer, "compute_output_spec", self._with_values)
                )
            self._put(stand_ins)
            stack.callback(self._put, {})
            token = _in_place.set((self, stand_ins))
            stack.callback(_in_place.reset, token)
            yield

    def _put(self, stand_ins: dict[int, Any]) -> None:
        """Lets layers hold what stands for their variables, or these themselves."""
        for layer, held in self._held:
            vars(layer).update({k: stand_ins.get(id(v), v) for k, v in held.items()})

    def _with_values(self, run: Any) -> Any:
        def run_with_values(*args: Any, **kwargs: Any) -> Any:
            with weights_themselves():
                return run(*args, **kwargs)

        return run_with_values


# Whose weights are replaced, and by what.
_in_place: ContextVar[tuple[Tables, dict[int, Any]] | None] = ContextVar(
    "in_place", default=None
)


@contextmanager
def weights_themselves() -> Iterator[None]:
    """Lets layers have their weights again for a while."""
    current = _in_place.get()
    if current is None:
        yield
        return
    tables, stand_ins = current
    token = _in_place.set(None)
    tables._put({})
    try:
        yield
    finally:
        tables._put(stand_ins)
        _in_place.reset(token)


@contextmanager
def _converting() -> Iterator[None]:
    """Lets symbolic tensors pass where calls make tensors of weights, for a while."""
    convert = keras.ops.convert_to_tensor

    def converted(x: Any, dtype: Any = None, **options: Any) -> Any:
        if not isinstance(x, keras.KerasTensor):
            return convert(x, dtype=dtype, **options)
        return x if dtype is None else keras.ops.cast(x, dtype)

    keras.ops.convert_to_tensor = converted
    try:
        yield
    finally:
        keras.ops.convert_to_tensor = convert


@contextmanager
def _instead(layer: Any, name: str, wrap: Callable[[Any], Any]) -> Iterator[None]:
    """Gives a layer another method for a while, made of the one that it has."""
    own = vars(layer).get(name)
    vars(layer)[name] = wrap(getattr(layer, name))
    try:
        yield
    finally:
        if own is None:
            del vars(layer)[name]
        else:
            vars(layer)[name] = own


def _is_variable(value: Any) -> bool:
    return isinstance(value, keras.Variable)


def _policy(layer: Any, variable: Any) -> Any:
    """In what type a layer reads a variable, and in what type that is kept."""
    if is_cast(variable) and layer.autocast:
        policy = layer.dtype_policy
        if variable.dtype == policy.variable_dtype:
            return policy
    return keras.dtype_policies.get(variable.dtype)


def _table(layer: Any, variable: Any) -> keras.layers.Embedding:
    """A table of one row that stands for a variable, which it shares.

    It is made anew from its config as any layer is; the table of that one is a weight
    of its own, of as many numbers.

    Raises:
        ValueError: a table cannot hold such a weight.
    """
    if not variable.dtype.startswith(("float", "bfloat")):
        raise ValueError(f"reads {variable.name!r}, a weight of {variable.dtype}")
    if variable.constraint is not None:
        # It may treat the axes of a weight differently.
        raise ValueError(f"reads {variable.name!r}, a weight under a constraint")
    size = math.prod(variable.shape)
    table = keras.layers.Embedding(
        1,
        size,
        embeddings_regularizer=variable.regularizer,
        name=variable.name,
        dtype=_policy(layer, variable),
    )
    table.variable = variable
    table.built = True
    if not variable.trainable:
        table.trainable = False

    def look_up(inputs: Any) -> Any:
        value = keras.ops.cast(
            keras.ops.convert_to_tensor(variable), table.compute_dtype
        )
        return keras.ops.reshape(value, (size,))

    table.call = look_up
    return table


def zero(x: Any) -> Any:
    """The number 0, for a graph in which everything is made of what comes in.

    It does not depend on what `x` holds, nor on how many examples there are.
    """
    first = x[(slice(None), *[0] * (len(x.shape) - 1))] if x.shape else x
    return keras.ops.sum(keras.ops.zeros_like(first, dtype="int32"))


def constant(array: Any, x: Any) -> Any:
    """An array that a graph yields whatever comes in."""
    return keras.ops.cast(zero(x), array.dtype) + array


def is_zero(node: Any) -> bool:
    """Whether a call makes a number 0 of whatever comes in: the sum of zeros."""
    if type(node.operation) not in _SUM or node.operation.axis is not None:
        return False
    (x,) = node.input_tensors
    before = producer(x)
    return before is not None and type(before.operation) in _ZEROS


def says_more(model: keras.Model) -> bool:
    """Whether what is in a layer without layers in it says how it treats channels.

    It does if it multiplies with weights, or if it acts on every element, by a number
    for each channel.
    """
    nodes = list(nodes_of(model))
    tables, others = [], []
    for node in nodes:
        if isinstance(node.operation, keras.layers.Layer) and node.operation.weights:
            is_table = isinstance(node.operation, keras.layers.Embedding)
            (tables if is_table else others).append(node)
    if others:
        return True
    shapes = {tuple(tensor.shape) for tensor in model.inputs}
    shapes |= {tuple(node.outputs[0].shape) for node in tables}
    return any(node.operation.output_dim > 1 for node in tables) and all(
        tuple(tensor.shape) in shapes
        for node in nodes
        if not (type(node.operation) in _OF_ZERO or is_zero(node))
        for tensor in node.outputs
    )


def zero_alone() -> Any:
    """What such a call makes."""
    return keras.ops.zeros((), "int32")


_SUM = operation_types(keras.ops.sum)
_ZEROS = operation_types(keras.ops.zeros_like)
_OF_ZERO = {*_ZEROS, *operation_types(lambda x: x[:, 0])}
