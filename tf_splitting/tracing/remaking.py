"""A layer or an operation made anew, of the same class, some of its config changed.

A config that does not make the layer again is common: of a layer that is only ever made
by the one around it, nobody has tried. What the constructor takes of it, and what the
layer keeps under the names of the others, often does.
"""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras

from tf_splitting.errors import ModelError, in_short
from tf_splitting.tracing.assets import copy_assets
from tf_splitting.tracing.watching import given_to, holds_layers


class RemakeError(ModelError):
    """A layer cannot be made anew from its config, or not be called then.

    Attributes:
        layer: the layer.
    """

    def __init__(self, layer: Any, reason: str) -> None:
        super().__init__(
            f"Layer {layer.name!r} of type {type(layer).__name__} cannot be made anew "
            f"from its config: {reason.rstrip('.')}. Mend its get_config and "
            f"from_config, so that {type(layer).__name__}.from_config("
            "layer.get_config()) is the same layer."
        )
        self.layer = layer


def remake(
    operation: Any,
    name: str,
    changes: dict[str, Any] | None = None,
    class_of: Callable[[type], type] = lambda kind: kind,
) -> Any:
    """A new layer or operation of this name, its config that of the old one.

    Args:
        operation: the old one.
        name: of the new one.
        changes: of the config.
        class_of: class that a layer is made of, by its own.

    Raises:
        RemakeError: its config does not make one.
    """
    changes = changes or {}
    if not isinstance(operation, keras.layers.Layer):
        return _remake_operation(operation, changes, name)
    if name != operation.name:
        changes = {**changes, "name": name}
    new = remake_layer(operation, changes, class_of(type(operation)))
    copy_assets(operation, new)
    # Not every config tells the name.
    new.name = name
    return new


def remake_layer(
    layer: Any, changes: dict[str, Any], kind: type[keras.layers.Layer]
) -> Any:
    """A new layer of class `kind` and the old one's config, some entries changed.

    Raises:
        RemakeError: its config does not make one.
    """
    if isinstance(layer, keras.layers.Lambda):
        # Its config holds marshalled code, without the globals that the code uses.
        return kind(
            layer.function,
            output_shape=layer._output_shape,
            mask=layer.mask,
            arguments=layer.arguments,
            **keras.layers.Layer.get_config(layer),
        )
    config: dict[str, Any] = {}
    try:
        config = _config(layer)
        new = kind.from_config({**config, **changes})
    except Exception as error:
        # Of whatever kind: it is the layer's own code.
        for arguments in _constructor_arguments(layer, config, kind, changes):
            with contextlib.suppress(Exception):
                return _told(kind(**arguments), arguments)
        raise RemakeError(layer, in_short(error)) from error
    # One that was made of arguments before has them for a config.
    ours = "get_config" in vars(layer)
    return _told(new, {**config, **changes}) if ours else new


def _config(layer: Any) -> dict[str, Any]:
    """A layer's config.

    Functions go along as they are: a config holds the name of one, and only of a
    registered one can Keras find the function again.
    """
    with warnings.catch_warnings():
        # Nothing is written to a file here.
        warnings.filterwarnings("ignore", "The object being serialized includes a")
        config = layer.get_config()
    functions = {
        key: getattr(layer, key)
        for key in config
        if inspect.isfunction(getattr(layer, key, None))
    }
    return {**_unbuilt(config), **functions}


def _unbuilt(config: dict[str, Any]) -> dict[str, Any]:
    """A config whose layers are not built for the widths that they have now."""
    return {
        key: {k: v for k, v in value.items() if k != "build_config"}
        if isinstance(value, dict) and "class_name" in value
        else value
        for key, value in config.items()
    }


def _told(layer: Any, arguments: dict[str, Any]) -> Any:
    """The layer, its config these arguments: it cannot be saved by its own."""
    layer.get_config = lambda: {**arguments}
    return layer


def _constructor_arguments(
    layer: Any,
    config: dict[str, Any],
    kind: type[keras.layers.Layer],
    changes: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    """Arguments of a constructor that may make a layer anew, some of them changed.

    They are what its constructor was seen to be given; or entries of the config, which
    may hold others too, and what the layer keeps under the names of arguments.
    """
    plain = {k: v for k, v in config.items() if _is_plain(v) or inspect.isfunction(v)}
    base = {
        "name": layer.name,
        "trainable": layer.trainable,
        "dtype": layer.dtype_policy,
    }
    own, *others = _parameters(kind)
    every = own.union(*others)
    if "name" not in every:
        changes = {key: value for key, value in changes.items() if key != "name"}
    given = given_to(layer)
    if given is not None:
        named = {key: value for key, value in base.items() if key in every}
        yield {**named, **given, **changes}
    known = {**plain, **base}
    # Some base classes are told by the constructor what it is not told itself.
    for names in (every, own.union(*others[-1:])):
        found = {n: known[n] if n in known else _kept(layer, n) for n in names}
        # A layer would be shared between the old model and the new one.
        if not holds_layers(found):
            yield {**found, **changes}


def _kept(layer: Any, name: str) -> Any:
    """What a layer keeps under a name; the layer itself if that is nothing."""
    with contextlib.suppress(Exception):
        # Of whatever kind: it may be a property of theirs.
        return getattr(layer, name, getattr(layer, f"_{name}", layer))
    return layer


def _parameters(kind: type[keras.layers.Layer]) -> list[set[str]]:
    """What a constructor takes, and those of base classes that it hands the rest on."""
    found = []
    for each in kind.__mro__[: kind.__mro__.index(keras.layers.Layer) + 1]:
        if "__init__" not in vars(each):
            continue
        _, *parameters = inspect.signature(vars(each)["__init__"]).parameters.values()
        rest = {p.name for p in parameters if p.kind is p.VAR_KEYWORD}
        found.append({p.name for p in parameters} - rest)
        if not rest:
            break
    return found


def _is_plain(value: Any) -> bool:
    """Whether it is made of numbers, texts, truth values and None alone."""
    plain = (str, int, float, bool, type(None))
    return all(isinstance(each, plain) for each in keras.tree.flatten(value))


def _remake_operation(
    operation: keras.Operation, changes: dict[str, Any], name: str
) -> keras.Operation:
    """A new `keras.ops` operation: calling the old one would leave a node on it."""
    try:
        new = type(operation).from_config({**operation.get_config(), **changes})
    except NotImplementedError:
        # One that cannot be saved, because of an array among its arguments.
        return operation
    # Not all of them take a name.
    new.name = name
    return new
