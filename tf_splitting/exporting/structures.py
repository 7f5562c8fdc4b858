"""What a model takes and yields, by the names that its exports have.

A serving signature is flat: a name for each input and each output. Inputs are called
as their `keras.Input` is. A single output is `output_0`, a list's are `output_0`,
`output_1`, ..., a dict's are called by their keys. Of deeper structures the path to an
output is its name: `{"heads": [a, b]}` yields `heads_0` and `heads_1`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tf_splitting.errors import DataError, ModelError
from tf_splitting.estimating import flat_inputs
from tf_splitting.tracing import input_name, structures_of

tree = keras.tree

Arrays = Mapping[str, np.ndarray]


def input_names(model: keras.Model) -> list[str]:
    """The names of a model's inputs, in its order."""
    return [input_name(tensor) for tensor in model.inputs]


def output_names(model: keras.Model) -> list[str]:
    """The names of a model's outputs, in its order.

    Raises:
        ModelError: two outputs of a nested structure have one name.
    """
    _, outputs = structures_of(model)
    paths = [path for path, _ in tree.flatten_with_path(outputs)]
    names = [_name(path, isinstance(outputs, dict)) for path in paths]
    if len(set(names)) < len(names):
        raise ModelError(
            f"Outputs of model {model.name!r} would be called {names}, two of them "
            "alike. Rename a key of its outputs."
        )
    return names


def with_flat_outputs(model: keras.Model) -> keras.Model:
    """The model itself, or of its layers one whose outputs are a flat dict by name.

    Keras cannot write signatures of nested outputs.
    """
    inputs, outputs = structures_of(model)
    if all(len(path) < 2 for path, _ in tree.flatten_with_path(outputs)):
        return model
    flat = dict(zip(output_names(model), tree.flatten(outputs), strict=True))
    return keras.Model(inputs, flat, name=model.name)


def signature(model: keras.Model) -> list[Any] | None:
    """Several inputs as Keras is to call them, one needs no name: None.

    Keras takes the names of symbolic tensors, which it makes up for inputs without.
    """
    if len(model.inputs) == 1:
        return None
    inputs, _ = structures_of(model)

    def spec(tensor: Any) -> keras.InputSpec:
        return keras.InputSpec(
            dtype=tensor.dtype, shape=tensor.shape, name=input_name(tensor)
        )

    return [tree.map_structure(spec, inputs)]


def named_inputs(model: keras.Model, inputs: Any) -> dict[str, Any]:
    """A batch's inputs by name, as tensors of the model's types.

    Args:
        model: what they are for.
        inputs: in the model's own structure, or by name.

    Raises:
        DataError: they do not fit.
    """
    own, _ = structures_of(model)
    if _alike(own, inputs):
        inputs = tree.flatten(inputs)
    return dict(zip(input_names(model), flat_inputs(model, inputs), strict=True))


def called(model: keras.Model, named: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What a model yields, by name, for inputs by name."""
    own, _ = structures_of(model)
    flat = [named[name] for name in input_names(model)]
    results = model(tree.pack_sequence_as(own, flat), training=False)
    arrays = [np.asarray(result) for result in tree.flatten(results)]
    return dict(zip(output_names(model), arrays, strict=True))


def random_inputs(model: keras.Model, examples: int = 4) -> list[np.ndarray]:
    """Inputs in the model's order: uniform in 0..1, of whole numbers 0 or 1.

    Raises:
        ModelError: a size is free.
    """
    generator = np.random.default_rng(0)
    found = []
    for tensor in model.inputs:
        shape = tuple(tensor.shape[1:])
        if None in shape:
            raise ModelError(
                f"Model {model.name!r} takes inputs of shape {tuple(tensor.shape)}: "
                "pass `inputs` to compare outputs on."
            )
        drawn = generator.random((examples, *shape))
        whole = tensor.dtype == "bool" or "int" in tensor.dtype
        found.append((drawn.round() if whole else drawn).astype(tensor.dtype))
    return found


def fitting(name: str, array: Any, dtype: np.dtype) -> np.ndarray:
    """An array as a served input takes it.

    Raises:
        DataError: that would change what it says, as of fractions for tokens.
    """
    array, dtype = np.asarray(array), np.dtype(dtype)
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        raise DataError(
            f"Got {array.dtype} for the input {name!r}; expected {dtype}. Convert it."
        )
    return array.astype(dtype)


def by_name(where: str, inputs: Any, names: list[str]) -> dict[str, Any]:
    """The inputs of a served function: a single one may come without its name.

    Raises:
        DataError: others are given, or several without names.
    """
    if not isinstance(inputs, Mapping):
        if len(names) == 1 and not isinstance(inputs, (list, tuple)):
            return {names[0]: inputs}
        raise DataError(
            f"Got a {type(inputs).__name__} for {where}; expected a dict of the inputs "
            f"{sorted(names)}."
        )
    if set(inputs) != set(names):
        raise DataError(
            f"Got inputs {sorted(inputs)} for {where}; expected {sorted(names)}."
        )
    return dict(inputs)


def _name(path: tuple[Any, ...], of_dict: bool) -> str:
    joined = "_".join(map(str, path)) or "0"
    return joined if of_dict else f"output_{joined}"


def _alike(structure: Any, other: Any) -> bool:
    try:
        tree.assert_same_structure(structure, other)
    # Of structures that differ, and of what is none.
    except (ValueError, TypeError):
        return False
    return True
