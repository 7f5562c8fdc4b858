"""Which models can be read: those that are built and have a graph."""

from __future__ import annotations

from typing import Any

import keras

from tf_splitting.errors import ModelError
from tf_splitting.support import instance
from tf_splitting.tracing.keras_internals import functional_of, has_graph


def check_model(model: keras.Model) -> None:
    """Raises unless calls of the model can be listed.

    Raises:
        ModelError: it is no model, is subclassed, or has not been built.
    """
    readable(model)


def leaf_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """All layers of a model, those of nested models in place of the models."""
    found: list[keras.layers.Layer] = []
    for layer in model.layers:
        found += leaf_layers(layer) if has_graph(layer) else [layer]
    return found


def readable(model: keras.Model) -> Any:
    """The Functional model that lists a model's calls: itself, or what it wraps.

    Raises:
        ModelError: as `check_model`.
    """
    expected = "a built Functional or Sequential keras.Model"
    hint = "Pass the model itself, not its name, its path, its class or a layer."
    if _of_tf_keras(model):
        hint = (
            "It is a model of tf_keras (Keras 2). Build it again from Keras 3's "
            "layers, `import keras` in place of tf_keras and no TF_USE_LEGACY_KERAS in "
            "the environment, and carry its weights over: "
            "`new.set_weights(old.get_weights())`."
        )
    instance("model", model, keras.Model, expected, hint, error=ModelError)
    if not has_graph(model):
        raise ModelError(
            f"Got {type(model).__name__} {getattr(model, 'name', '')!r}; expected a "
            "Functional or Sequential keras.Model. A subclassed model hides its graph "
            "inside `call`: make it Functional by `tf_splitting.to_functional`, or "
            "rebuild it as `keras.Model(inputs, outputs)`."
        )
    functional = functional_of(model)
    if functional is None:
        raise ModelError(
            f"Sequential model {model.name!r} has not been built: its layer "
            "widths are unknown. Start it with `keras.Input(shape=...)` or call "
            "`model.build(input_shape)`."
        )
    return functional


def _of_tf_keras(model: Any) -> bool:
    """Whether it is a model, or anything else, of the package that Keras 2 lives on."""
    return any(k.__module__.split(".")[0] == "tf_keras" for k in type(model).__mro__)
