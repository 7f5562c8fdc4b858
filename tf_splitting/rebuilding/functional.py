"""`to_functional`: a model that says what it computes, from one that hides it.

Layers hide it too if they read how long their input is while that is not known.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import keras

from tf_splitting.errors import ModelError, SplittingWarning
from tf_splitting.rebuilding.gathering import Gathering
from tf_splitting.rebuilding.opening import clone_opening
from tf_splitting.rebuilding.optimizer_state import carry_optimizer_state
from tf_splitting.support import (
    assign_copy,
    copy_compile_settings,
    instance,
    scope_of,
)
from tf_splitting.tracing import (
    ClosedError,
    check_model,
    clone,
    filled_in,
    flatten,
    has_graph,
    look_inside,
    remake,
    structures_of,
)

# What a subclass may do in a way of its own, which a plain model does not.
_METHODS = (
    "train_step",
    "test_step",
    "predict_step",
    "compute_loss",
    "compute_metrics",
)


def to_functional(model: keras.Model, input_spec: Any) -> keras.Model:
    """A Functional model of what a subclassed one computes, or one of open sizes.

    A subclassed model's `call` has to be written with Keras layers and `keras.ops`; it
    is called on symbolic tensors once. Layers in it keep their names, classes and
    weights. A model that has a graph already comes back as it is, unless `input_spec`
    knows sizes that it leaves open, such as the length of a text: then they are fixed.
    Layers that read them, as the decoders of language models do, can then be looked
    into.

    Args:
        model: built: called on a batch before. It is left as it was.
        input_spec: what it is called with, in its structure (a tensor, a list, a
            dictionary): `keras.KerasTensor`s or `keras.InputSpec`s, whose sizes may be
            None, or a batch, of which the first axis stands for any size.

    Returns:
        A new model with weights of its own; compiled, with the optimizer's state, if
        `model` is.

    Raises:
        ModelError: it is no model, is not built, does not take such an input, or does
            more than its graph would say; the message says what.

    Example:
        >>> model = MyModel()
        >>> model(x[:1])
        >>> plain = tf_splitting.to_functional(model, x)
        >>> tf_splitting.trace(plain)

        >>> tokens = keras.KerasTensor((None, 128), "int32")
        >>> model = tf_splitting.to_functional(language_model, tokens)
    """
    hint = "Pass the model itself, not its name, its path or its class."
    instance("model", model, keras.Model, "a keras.Model", hint, error=ModelError)
    spec = keras.tree.map_structure(_symbolic, input_spec)
    if has_graph(model):
        check_model(model)
        spec = _as_taken(structures_of(model)[0], spec)
        shapes = _fixed_shapes(model, spec)
        if not shapes:
            return model
        with scope_of(model):
            sizes = keras.tree.map_structure(lambda x: tuple(x.shape[1:]), spec)
            insides = flatten(model, sizes).insides.values()
            copy, variables = clone_opening(model, insides, shapes=shapes)
            return filled(model, copy.model, variables)
    if not model.built:
        raise ModelError(
            f"Model {model.name!r} has not been built: nobody knows its weights. Call "
            "it on a batch first."
        )
    try:
        inside = look_inside(model, (spec,), {}, masked=(), names=_names(spec))
    except ClosedError as error:
        raise ModelError(
            f"Model {model.name!r} of type {type(model).__name__} cannot be made "
            f"Functional: it {error}. Mend that, or rebuild it as "
            "keras.Model(inputs, outputs)."
        ) from error
    lost = own_methods(model)
    if lost:
        warnings.warn(
            f"Model {model.name!r} is a {type(model).__name__}, whose own "
            f"{', '.join(lost)} the Functional model does not have.",
            SplittingWarning,
            stacklevel=2,
        )
    with scope_of(model):
        copy = clone(inside, remake)
        inputs = keras.tree.pack_sequence_as(spec, copy.model.inputs)
        functional = keras.Model(inputs, copy.model.output, name=model.name)
        return filled(model, functional, copy.variables)


def own_methods(model: keras.Model) -> list[str]:
    """How a model trains in a way of its own: methods of its class, by name."""
    kind = type(model)
    return [n for n in _METHODS if getattr(kind, n) is not getattr(keras.Model, n)]


def filled(
    old: keras.Model, new: keras.Model, variables: list[tuple[Any, Any]]
) -> keras.Model:
    """The new model with the old one's weights, compile settings and optimizer.

    Args:
        old: left as it was.
        new: of the same widths, not compiled.
        variables: every one of the old model with its own in the new.
    """
    for variable, other in variables:
        assign_copy(other, variable)
    if old.compiled:
        copy_compile_settings(old, new)
        carry_optimizer_state(old, new, variables, Gathering({}, {}, {}), {})
    return new


def _fixed_shapes(model: keras.Model, spec: Any) -> dict[int, tuple[int | None, ...]]:
    """Shapes of inputs with open sizes that the spec knows, by `id` of the input.

    Raises:
        ModelError: the model does not take such an input.
    """
    (inputs, _), given = structures_of(model), keras.tree.flatten(spec)
    told = [tuple(tensor.shape) for tensor in keras.tree.flatten(inputs)]
    shapes = [tuple(tensor.shape) for tensor in given]
    try:
        keras.tree.assert_same_structure(inputs, spec)
        known = [filled_in(a, b) for a, b in zip(told, shapes, strict=True)]
    except (ValueError, TypeError):
        known = [None]
    if None in known:
        came, taken = (
            keras.tree.map_structure(lambda x: tuple(x.shape), each)
            for each in (spec, inputs)
        )
        raise ModelError(
            f"Got input_spec of shapes {came}; model {model.name!r} takes {taken}."
        )
    return {
        id(tensor): (shape[0], *sizes[1:])
        for tensor, shape, sizes in zip(keras.tree.flatten(inputs), told, known)
        if sizes is not None and shape[1:] != sizes[1:]
    }


def _as_taken(inputs: Any, spec: Any) -> Any:
    """The spec in the structure of a model's inputs, as Keras takes a batch."""
    if isinstance(inputs, (list, tuple)):
        if isinstance(spec, dict):
            names = [each.name for each in inputs]
            return [spec[n] for n in names] if set(names) == {*spec} else spec
        if len(inputs) == 1 and not isinstance(spec, (list, tuple)):
            return [spec]
    return spec


def _symbolic(value: Any) -> keras.KerasTensor:
    """A tensor that stands for what a model is called with.

    Raises:
        ModelError: nobody can say what that is.
    """
    if isinstance(value, keras.KerasTensor):
        return value
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    try:
        if shape is None:
            raise TypeError("it has no shape")
        dtype = keras.backend.standardize_dtype(dtype or keras.config.floatx())
        if isinstance(value, keras.InputSpec):
            return keras.KerasTensor(shape, dtype)
        # The first axis of a batch stands for any size.
        return keras.KerasTensor((None, *shape[1:]), dtype)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"Got {value!r} in input_spec; expected keras.KerasTensors, "
            "keras.InputSpecs with a shape, or arrays of a batch."
        ) from error


def _names(spec: Any) -> list[str]:
    """Names of the inputs, if they come in a dictionary: Keras matches by these."""
    return sorted(spec) if isinstance(spec, Mapping) else []
