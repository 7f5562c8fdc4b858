"""`to_functional`: a model that says what it computes, from one that hides it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import keras

from tf_splitting.errors import ModelError, SplittingWarning
from tf_splitting.rebuilding.gathering import Gathering
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
    has_graph,
    look_inside,
    remake,
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
    """A Functional model that computes what a subclassed one does.

    Its `call` has to be written with Keras layers and `keras.ops`; it is called on
    symbolic tensors once. Layers in it keep their names, classes and weights.

    Args:
        model: built: called on a batch before. It is left as it was.
        input_spec: what it is called with, in its structure (a tensor, a list, a
            dictionary): `keras.KerasTensor`s or `keras.InputSpec`s, whose sizes may be
            None, or a batch, of which the first axis stands for any size.

    Returns:
        A new model with weights of its own; compiled, with the optimizer's state, if
        `model` is. A model that has a graph already comes back as it is.

    Raises:
        ModelError: it is no model, is not built, or does more than its graph would say;
            the message says what.

    Example:
        >>> model = MyModel()
        >>> model(x[:1])
        >>> plain = tf_splitting.to_functional(model, x)
        >>> tf_splitting.trace(plain)
    """
    hint = "Pass the model itself, not its name, its path or its class."
    instance("model", model, keras.Model, "a keras.Model", hint, error=ModelError)
    if has_graph(model):
        check_model(model)
        return model
    if not model.built:
        raise ModelError(
            f"Model {model.name!r} has not been built: nobody knows its weights. Call "
            "it on a batch first."
        )
    spec = keras.tree.map_structure(_symbolic, input_spec)
    try:
        inside = look_inside(model, (spec,), {}, masked=(), names=_names(spec))
    except ClosedError as error:
        raise ModelError(
            f"Model {model.name!r} of type {type(model).__name__} cannot be made "
            f"Functional: it {error}. Rebuild it as keras.Model(inputs, outputs)."
        ) from error
    lost = [
        name
        for name in _METHODS
        if getattr(type(model), name) is not getattr(keras.Model, name)
    ]
    if lost:
        warnings.warn(
            f"Model {model.name!r} is a {type(model).__name__}, whose own "
            f"{', '.join(lost)} the Functional model does not have.",
            SplittingWarning,
            stacklevel=2,
        )
    with scope_of(model):
        copy = clone(model, remake, insides=[inside])
        for old, new in copy.variables:
            assign_copy(new, old)
        inputs = keras.tree.pack_sequence_as(spec, copy.model.inputs)
        functional = keras.Model(inputs, copy.model.output, name=model.name)
        if model.compiled:
            copy_compile_settings(model, functional)
            whole = Gathering({}, {}, {})
            carry_optimizer_state(model, functional, copy.variables, whole, {})
    return functional


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
