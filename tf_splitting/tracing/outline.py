"""What calls do as plain data, to see whether two lists of calls do the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from tf_splitting.tracing.keras_internals import nodes_of


def outline(model: keras.Model) -> Any:
    """What is called on what, with which arguments but for `training`."""
    numbers: dict[int, int] = {id(t): n for n, t in enumerate(model.inputs)}
    calls = []
    for node in nodes_of(model):
        kwargs = {k: v for k, v in node.arguments.kwargs.items() if k != "training"}
        told = [settings(node.operation), node.arguments.args, kwargs]
        calls.append(_plain(told, numbers))
        for tensor in node.outputs:
            numbers[id(tensor)] = len(numbers)
    return [calls, [numbers[id(tensor)] for tensor in model.outputs]]


def settings(operation: Any) -> Any:
    """What an operation is besides what it is called with."""
    if not isinstance(operation, keras.layers.Layer):
        return _plain([type(operation).__name__, attributes(operation)])
    # What holds no weights may have been made for this very call.
    if operation.weights:
        return id(operation)
    try:
        config = {**operation.get_config(), "name": None}
    except Exception:
        # Of whatever kind: it is the layer's own code.
        config = {"": id(operation)}
    return _plain([type(operation).__name__, config])


def attributes(operation: Any) -> dict[str, Any]:
    """What an operation that is no layer holds for itself."""
    hidden = {"name", *vars(keras.Operation())}
    return {k: v for k, v in vars(operation).items() if k not in hidden}


def fits(general: Any, special: Any) -> bool:
    """Whether two outlines are the same but for sizes that the first leaves open."""
    if isinstance(general, dict) and isinstance(special, dict):
        return general.keys() == special.keys() and all(
            fits(general[key], special[key]) for key in general
        )
    if isinstance(general, (tuple, list)) and isinstance(special, (tuple, list)):
        pairs: Iterable[tuple[Any, Any]] = zip(general, special)
        return len(general) == len(special) and all(fits(a, b) for a, b in pairs)
    left_open = general is None or general == -1
    return (left_open and isinstance(special, int)) or general == special


def is_array(value: Any) -> bool:
    """Whether it is a tensor with values, of whatever library."""
    symbolic = isinstance(value, keras.KerasTensor)
    return not symbolic and hasattr(value, "shape") and hasattr(value, "dtype")


def _plain(value: Any, numbers: dict[int, int] | None = None) -> Any:
    """Plain data that says what a value is; of tensors in `numbers`, which."""
    if numbers and id(value) in numbers:
        return "tensor", numbers[id(value)]
    if isinstance(value, dict):
        return {key: _plain(each, numbers) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(each, numbers) for each in value]
    if is_array(value):
        array = keras.ops.convert_to_numpy(value)
        return str(array.shape), str(array.dtype), array.tobytes()
    return value if value is None or isinstance(value, int) else repr(value)
