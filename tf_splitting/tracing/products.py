"""Products with a weight that a call writes out, as layers that hold the weight.

`ops.matmul(x, self.w)` is what `Dense` computes, and `ops.einsum` is `EinsumDense`.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from string import ascii_lowercase
from typing import Any

import keras

from tf_splitting.tracing.keras_internals import operation_types
from tf_splitting.tracing.tables import Weight


def as_product(
    node: Any, weights: Container[int]
) -> tuple[Any, Any, str | None] | None:
    """What is multiplied with which weight, and by which equation if not `matmul`.

    Args:
        node: a call.
        weights: symbolic tensors that stand for weights, by `id`.
    """
    if len(node.input_tensors) != 2:
        return None
    x, weight = node.input_tensors
    if type(node.operation) in _MATMUL:
        if id(weight) in weights and len(weight.shape) == 2 and len(x.shape) > 1:
            return x, weight, None
        return None
    if type(node.operation) in _TENSORDOT:
        if id(weight) not in weights or id(x) in weights:
            return None
        equation = _summed(node.operation.axes, len(x.shape), len(weight.shape))
        return None if equation is None else (x, weight, equation)
    if type(node.operation) not in _EINSUM:
        return None
    inputs, _, result = node.operation.subscripts.replace(" ", "").partition("->")
    read, held = inputs.split(",")
    if id(x) in weights:
        x, weight, read, held = weight, x, held, read
    if id(weight) not in weights or not result or read[:1] != result[:1]:
        return None
    return x, weight, f"{read},{held}->{result}"


def _summed(axes: Any, rank: int, held: int) -> str | None:
    """The equation of a product that sums over one axis of each; None of others.

    Args:
        axes: as `tensordot` takes them.
        rank, held: of the tensor and the weight.
    """
    mine, theirs = axes if not isinstance(axes, int) else (range(-axes, 0), range(axes))
    if len(mine) != 1 or mine[0] % rank == 0:
        return None
    letters = ascii_lowercase[: rank + held]
    read, kernel = list(letters[:rank]), list(letters[rank:])
    kernel[theirs[0] % held] = read[mine[0] % rank]
    rest = [letter for letter in read + kernel if (read + kernel).count(letter) == 1]
    return f"{''.join(read)},{''.join(kernel)}->{''.join(rest)}"


def product_layer(
    weight: Weight,
    equation: str | None,
    shape: Sequence[int | None],
    result: Sequence[int | None],
) -> keras.layers.Layer | None:
    """A layer whose kernel is that weight; None if none has such a kernel.

    Args:
        weight: that the layer around it reads.
        equation: as `EinsumDense` takes it; None for `Dense`.
        shape, result: of what comes in and out.
    """
    variable = weight.variable
    options: dict[str, Any] = {
        "kernel_regularizer": variable.regularizer,
        "name": weight.name,
        "dtype": weight.policy,
    }
    try:
        layer = (
            keras.layers.Dense(variable.shape[-1], use_bias=False, **options)
            if equation is None
            else keras.layers.EinsumDense(equation, tuple(result[1:]), **options)
        )
        # What `build` would make.
        vars(layer)["add_weight"] = lambda *args, shape, **kwargs: _of_shape(
            variable, shape
        )
        # For a batch of any size: Keras before 3.13 remembers the one built for.
        layer.build((None, *shape[1:]))
    except (ValueError, TypeError):
        return None
    del vars(layer)["add_weight"]
    layer.stands_for = weight
    if not variable.trainable:
        layer.trainable = False
    return layer


def _of_shape(variable: Any, shape: Sequence[int | None]) -> Any:
    """The variable.

    Raises:
        ValueError: it has another shape.
    """
    if tuple(shape) != tuple(variable.shape):
        raise ValueError(f"a kernel of shape {tuple(shape)}")
    return variable


_MATMUL = operation_types(keras.ops.matmul, 2) + operation_types(
    lambda x, y: keras.ops.dot(x, y), 2
)
_TENSORDOT = operation_types(lambda x, y: keras.ops.tensordot(x, y, axes=1), 2)
_EINSUM = operation_types(lambda x, y: keras.ops.einsum("abcd,abcd->abcd", x, y), 2)
