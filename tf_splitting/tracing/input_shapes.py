"""Shapes of a model's inputs, those it leaves open filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tf_splitting.errors import ModelError
from tf_splitting.tracing.readable import readable


def input_shapes(
    model: keras.Model, input_shape: Any = None
) -> list[tuple[int | None, ...]]:
    """Shapes of a model's inputs, batch axis first.

    Args:
        model: built.
        input_shape: sizes without the batch's: a tuple, or, of a model with several
            inputs, tuples in the structure of `model.input`.

    Raises:
        ModelError: the model does not take such inputs.
    """
    told = [tuple(tensor.shape) for tensor in readable(model).inputs]
    if input_shape is None:
        return told
    given = _shapes_in(input_shape)
    sizes = [shape[1:] for shape in told]
    if len(given) == len(sizes):
        found = [filled_in(*pair) for pair in zip(sizes, given)]
        known = [shape for shape in found if shape is not None]
        if len(known) == len(found):
            return [(a[0], *b) for a, b in zip(told, known)]
    raise ModelError(
        f"Got input_shape={input_shape!r}; model {model.name!r} takes "
        f"{sizes[0] if len(sizes) == 1 else sizes}, without the axis of the batch."
    )


def filled_in(
    told: Sequence[int | None], given: Sequence[int | None]
) -> tuple[int | None, ...] | None:
    """A shape, its open sizes those of another; None if the two do not agree."""
    if len(told) != len(given):
        return None
    if any(a != b and None not in (a, b) for a, b in zip(told, given)):
        return None
    return tuple(b if a is None else a for a, b in zip(told, given))


def _shapes_in(value: Any) -> list[tuple[Any, ...]]:
    """The tuples of sizes in a structure, in the order of Keras' inputs."""
    if isinstance(value, Mapping):
        return [
            shape for key in sorted(value, key=str) for shape in _shapes_in(value[key])
        ]
    if not isinstance(value, (tuple, list)):
        return []
    if all(each is None or (isinstance(each, int) and each > 0) for each in value):
        return [tuple(value)]
    return [shape for each in value for shape in _shapes_in(each)]
