"""Weights that a call reads itself, as layers that hold them.

A graph of plain Keras layers has no place for a weight that is not read by a layer of
its own, such as a class token, a table of positions, or the kernel of another layer. An
`Embedding` of one row has: it holds the numbers, and looks up row 0 whatever comes in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras

from tf_splitting.tracing.keras_internals import (
    is_cast,
    nodes_of,
    operation_types,
    producer,
)


@dataclass(frozen=True, eq=False)
class Weight:
    """A weight, and where it is.

    Attributes:
        variable: the weight.
        owner: the layer that holds it.
        attribute: of that layer. A variable's own name may be another whenever its
            layer is made.
    """

    variable: Any
    owner: Any
    attribute: str

    @property
    def name(self) -> str:
        """Of the layer that holds it in a graph."""
        return self.attribute.strip("_") or self.attribute

    @property
    def policy(self) -> Any:
        """In what type its layer reads it, and in what type it is kept."""
        if is_cast(self.variable) and self.owner.autocast:
            policy = self.owner.dtype_policy
            if self.variable.dtype == policy.variable_dtype:
                return policy
        return keras.dtype_policies.get(self.variable.dtype)


def weight_behind(layer: Any) -> Weight | None:
    """The weight that a layer in a graph stands for, if it does."""
    return getattr(layer, "stands_for", None)


def table_of(weight: Weight) -> keras.layers.Embedding:
    """A table of one row that stands for a weight, which it shares.

    It is made anew from its config as any layer is; the table of that one is a weight
    of its own, of as many numbers.

    Raises:
        ValueError: a table cannot hold such a weight.
    """
    variable = weight.variable
    numbers = variable.dtype.startswith(("float", "bfloat"))
    # Such as those of biases by relative position.
    places = variable.dtype.startswith("int") and not variable.trainable
    if not (numbers or places):
        raise ValueError(f"reads {weight.name!r}, a weight of {variable.dtype}")
    if variable.constraint is not None:
        # It may treat the axes of a weight differently.
        raise ValueError(f"reads {weight.name!r}, a weight under a constraint")
    size = math.prod(variable.shape)
    table = keras.layers.Embedding(
        1,
        size,
        embeddings_initializer=_start(variable) if numbers else "zeros",
        embeddings_regularizer=variable.regularizer,
        name=weight.name,
        dtype=weight.policy,
    )
    table.variable = variable
    table.stands_for = weight
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
    first = first_of_each(x) if x.shape else x
    return keras.ops.sum(keras.ops.zeros_like(first, dtype="int32"))


def _start(variable: Any) -> Any:
    """What a table starts at, in a model that is made once more without weights.

    A variable does not keep what it was told; but one number throughout shows it.
    """
    value = keras.ops.convert_to_numpy(variable).ravel()
    if value.size and (value == value[0]).all():
        return keras.initializers.Constant(float(value[0]))
    return "uniform"


def first_of_each(x: Any) -> Any:
    """The first number of every example, `[batch]`."""
    key = (slice(None), *[0] * (len(x.shape) - 1))
    return x[key]


def constant(array: Any, x: Any) -> Any:
    """An array that a graph yields whatever comes in."""
    return keras.ops.cast(zero(x), array.dtype) + array


def is_zero(node: Any) -> bool:
    """Whether a call makes a number 0 of whatever comes in: the sum of zeros."""
    if type(node.operation) not in _SUM or node.operation.axis is not None:
        return False
    (x,) = node.input_tensors
    before = producer(x)
    return before is not None and makes_zeros(before)


def makes_zeros(call: Any) -> bool:
    """Whether a call makes zeros of the shape of what comes in."""
    return type(call.operation) in _ZEROS


def takes_first(call: Any) -> bool:
    """Whether a call takes some of what comes in, as `first_of_each` does."""
    return type(call.operation) in _ITEMS


def says_more(model: keras.Model) -> bool:
    """Whether what is in a layer without layers in it says how it treats channels.

    It does if it multiplies with weights, or if it acts on every element, by a number
    for each channel; or if its weights are constants, such as frequencies.
    """
    if not model.trainable_variables:
        return True
    nodes = list(nodes_of(model))
    tables: list[Any] = []
    others: list[Any] = []
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
        if not (makes_zeros(node) or takes_first(node) or is_zero(node))
        for tensor in node.outputs
    )


def zero_alone() -> Any:
    """What such a call makes."""
    return keras.ops.zeros((), "int32")


_SUM = operation_types(keras.ops.sum)
_ZEROS = operation_types(keras.ops.zeros_like)
_ITEMS = operation_types(lambda x: x[:, 0])
