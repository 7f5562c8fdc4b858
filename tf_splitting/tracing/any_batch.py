"""A call that reads how large the batch is, made one for batches of any size.

Such a call cannot be followed while the size is unknown. It is followed at two sizes
instead, and what differs between the two tells where the size goes: into reshapings,
which infer it, and into arrays that are the same for every example, such as a causal
mask, which one example broadcasts to all. Anything else keeps the layer closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tf_splitting.errors import in_short
from tf_splitting.tracing.keras_internals import operation_types, remade_reshaping
from tf_splitting.tracing.outline import attributes, is_array, settings
from tf_splitting.tracing.own_weights import Tables
from tf_splitting.tracing.symbolic_call import (
    ClosedError,
    StandIns,
    SymbolicCall,
    call_symbolically,
    nodes_between,
    rows_at,
    stand_ins,
)
from tf_splitting.tracing.tables import first_of_each

# Tensors of any size by what their sizes are where a call is followed.
Sizes = Mapping[tuple[int, ...], Any]
# Far apart, for what does one thing with few examples and another with many.
_EXAMPLES = (2, 17)


def call_at_any_batch(
    layer: Any,
    args: Any,
    kwargs: Any,
    names: Sequence[str],
    tables: Tables,
    rows: Sequence[int] = (),
) -> SymbolicCall:
    """What a layer does with a batch of any size; `left_alone` has to be around it.

    Args:
        layer, args, kwargs, names: as `stand_ins` takes them. All sizes but those of
            batches have to be known.
        tables: for weights that the call reads itself.
        rows: as `stand_ins` takes them.

    Raises:
        ClosedError: it cannot be called at a known size, or the size of the batch goes
            where it cannot be taken out.
    """
    first, second = (
        call_symbolically(layer, stand_ins(layer, args, kwargs, (), size, rows), tables)
        for size in _EXAMPLES
    )
    given = stand_ins(layer, args, kwargs, names)
    sizes = _sizes(given, rows)
    if len(first.nodes) != len(second.nodes):
        raise ClosedError("calls other layers for a batch of another size")
    values = _values(first.given, given)
    twins = _values(first.given, second.given)
    with keras.StatelessScope():
        for one, other in zip(first.nodes, second.nodes, strict=True):
            operation = _of_any_batch(one, other, sizes)
            arguments = [
                (node.arguments.args, dict(node.arguments.kwargs))
                for node in (one, other)
            ]
            try:
                same = keras.tree.map_structure(
                    lambda a, b: _merged(a, b, values, twins, sizes), *arguments
                )
                results = keras.tree.flatten(operation(*same[0], **same[1]))
            except ClosedError:
                raise
            except Exception as error:
                # Of whatever kind: what is inside has to know the size too.
                raise ClosedError(
                    f"holds {one.operation.name!r}, which cannot be called on a batch "
                    f"of any size ({in_short(error, 160)})"
                ) from error
            values.update(zip(map(id, one.outputs), results, strict=True))
            twins.update(zip(map(id, one.outputs), other.outputs, strict=True))
    outputs = keras.tree.map_structure(lambda t: values[id(t)], first.outputs)
    nodes = nodes_between(given.inputs, keras.tree.flatten(outputs), given.carried)
    return SymbolicCall(given, outputs, tuple(nodes))


def _sizes(given: StandIns, rows: Sequence[int]) -> Sizes:
    places = zip(given.inputs, given.places, strict=True)
    return {
        tuple(rows_at(rows, place) * size for size in _EXAMPLES): tensor
        for tensor, place in places
        if tensor.shape and tensor.shape[0] is None
    }


def _values(old: StandIns, new: StandIns) -> dict[int, Any]:
    """Which of the new tensors stands where, by `id` of the old ones."""
    pairs = zip(
        keras.tree.flatten((old.inputs, old.args, dict(old.kwargs))),
        keras.tree.flatten((new.inputs, new.args, dict(new.kwargs))),
        strict=True,
    )
    masks = zip(old.masks.values(), new.masks.values(), strict=True)
    return {id(a): b for a, b in (*pairs, *masks)}


def _merged(
    a: Any,
    b: Any,
    values: Mapping[int, Any],
    twins: Mapping[int, Any],
    sizes: Sizes,
) -> Any:
    """An argument at any size, from those at two sizes."""
    if isinstance(a, keras.KerasTensor):
        if twins.get(id(a)) is not b:
            raise ClosedError("calls other layers for a batch of another size")
        return values[id(a)]
    if is_array(a) and is_array(b):
        return _of_one_example(a, b, sizes)
    if a is not b and repr(a) != repr(b):
        raise ClosedError(f"reads the size of the batch ({a!r} for {_EXAMPLES[0]})")
    return a


def _of_one_example(a: Any, b: Any, sizes: Sizes) -> Any:
    """An array that does not depend on the size, or of one of its examples."""
    one, other = (keras.ops.convert_to_numpy(value) for value in (a, b))
    if one.shape == other.shape and np.array_equal(one, other):
        return a
    by_batch = one.shape[:1] + other.shape[:1] in sizes
    if not by_batch or one.shape[1:] != other.shape[1:]:
        raise ClosedError("holds numbers that depend on the size of the batch")
    if any((array != one[:1]).any() for array in (one, other)):
        raise ClosedError("holds numbers that are not alike for all of a batch")
    return a[:1]


def _of_any_batch(one: Any, other: Any, sizes: Sizes) -> Any:
    """The operation of a call for any size, from calls at two sizes.

    Args:
        one, other: the calls.
        sizes: of batches in the two.
    """
    a, b = one.operation, other.operation
    if settings(a) == settings(b):
        return a
    if type(a) is type(b) and not isinstance(a, keras.layers.Layer):
        mine, its = attributes(a), attributes(b)
        if [key for key in mine if mine[key] != its.get(key)] == ["newshape"]:
            # What was inferred of it is in the result.
            pairs = zip(one.outputs[0].shape, other.outputs[0].shape, strict=False)
            shape = [n if n == m else -1 for n, m in pairs]
            if len(mine["newshape"]) == len(shape) and shape.count(-1) == 1:
                return remade_reshaping(a, shape)
        repeat = _repeated_for_all(one, other, sizes)
        if repeat is not None:
            return repeat
    raise ClosedError(f"holds a {type(a).__name__} that reads the size of the batch")


def _repeated_for_all(
    one: Any, other: Any, sizes: Sizes
) -> Callable[[Any], Any] | None:
    """What calls do that repeat a tensor of one example for the whole batch, or None.

    Such as a class token. Sums with zeros broadcast to a size that is not known.
    """
    a, b = one.operation, other.operation
    if type(a) not in _REPEATING or len(one.input_tensors) != 1:
        return None
    mine, its = attributes(a), attributes(b)
    (source,) = one.input_tensors
    rank = len(one.outputs[0].shape)
    if len(source.shape) == rank and source.shape[0] != 1:
        return None
    if mine.get("axis", 0) != 0:
        return None
    (key,) = (key for key in ("shape", "repeats") if key in mine)
    found = [np.atleast_1d(each[key]).tolist() for each in (mine, its)]
    if len(found[0]) not in (1, rank) or found[0][1:] != found[1][1:]:
        return None
    x = sizes.get((found[0][0], found[1][0]))
    if x is None:
        return None

    def repeated(tensor: Any) -> Any:
        if len(found[0]) > 1:
            tensor = type(a)((1, *found[0][1:]))(tensor)
        zeros = keras.ops.zeros_like(first_of_each(x), dtype=tensor.dtype)
        # In this order: Keras takes what is added for a bias, if it might be one.
        return keras.ops.reshape(zeros, (-1, *[1] * (rank - 1))) + tensor

    return repeated


_REPEATING = {
    *operation_types(
        lambda x: keras.ops.broadcast_to(x, (2, 2, 2, 2)), shape=(1, 2, 2, 2)
    ),
    *operation_types(lambda x: keras.ops.tile(x, (2, 1, 1, 1))),
    *operation_types(lambda x: keras.ops.repeat(x, 2, axis=0)),
}
