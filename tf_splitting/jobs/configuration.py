"""What makes a job what it is, as plain data: compared when the job resumes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import keras

from tf_splitting.tracing import leaf_layers

# What plain data would be told apart by, though it is the same.
_NAMES = {"name", "registered_name"}


def plain(value: Any) -> Any:
    """A setting as JSON data, equal for equal settings in any process.

    Functions and classes go by their names, objects by their class and config or, if
    they have none, by how they print.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items() if k not in _NAMES}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if hasattr(value, "get_config"):
        return {type(value).__name__: plain(value.get_config())}
    if hasattr(value, "__qualname__"):
        return value.__qualname__
    # Addresses differ from process to process.
    text = repr(value)
    return type(value).__qualname__ if " at 0x" in text else text


def describe_model(model: keras.Model) -> str:
    """A model in short: its size, and a digest of its layers' settings and shapes."""
    layers = [
        [type(layer).__name__, plain(_config(layer)), [list(v.shape) for v in weights]]
        for layer in leaf_layers(model)
        for weights in [layer.variables]
    ]
    digest = hashlib.sha256(json.dumps(layers, sort_keys=True).encode()).hexdigest()
    return f"{len(layers)} layers, {model.count_params()} parameters, {digest[:12]}"


def describe_training(model: keras.Model) -> dict[str, Any]:
    """Optimizer and loss of a compiled model."""
    return {"optimizer": plain(model.optimizer), "loss": plain(model.loss)}


def _config(layer: Any) -> Any:
    try:
        return layer.get_config()
    except NotImplementedError:
        return None
