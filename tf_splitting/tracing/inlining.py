"""Layers that return None beside tensors, such as a decoder's cache when there is none.

Keras can make no call of such a layer. When the layer around it is followed, the calls
that it is made of stand in its place.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras

from tf_splitting.tracing.keras_internals import (
    has_graph,
    mask_of,
    results_of,
    sublayers,
)
from tf_splitting.tracing.own_weights import weights_themselves

# What layers are told that are not told by the one around them, as Keras would do.
_training: ContextVar[bool | None] = ContextVar("training", default=None)


@contextmanager
def in_training() -> Iterator[None]:
    """Lets layers know that this is training."""
    token = _training.set(True)
    try:
        yield
    finally:
        _training.reset(token)


def takes_training(layer: Any) -> bool:
    """Whether a layer is told if this is training, and may do something else then."""
    return "training" in inspect.signature(layer.call).parameters


@contextmanager
def inlined(layers: Iterable[Any]) -> Iterator[None]:
    """Lets those of these layers be called symbolically that return None too."""
    kinds = [
        (each, type(each)) for each in layers if sublayers(each) and not has_graph(each)
    ]
    for each, kind in kinds:
        # Python looks up __call__ on the class alone.
        object.__setattr__(each, "__class__", _inlining(kind))
    try:
        yield
    finally:
        for each, kind in kinds:
            object.__setattr__(each, "__class__", kind)


def _inlining(kind: Any) -> type:
    """A class of layers of which calls that Keras cannot make are written out."""

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return kind.__call__(layer, *args, **kwargs)
        except Exception:
            # Of whatever kind: it may be another reason.
            told = inspect.signature(layer.call).bind(*args, **kwargs).arguments
            training = _training.get()
            if training and takes_training(layer) and "training" not in told:
                kwargs = {**kwargs, "training": training}
            if not _can_be_inlined(layer, args, kwargs):
                raise
            return layer.call(*_converted(layer, args), **_converted(layer, kwargs))

    return type(kind.__name__, (kind,), {"__call__": call, "__module__": __name__})


def _can_be_inlined(layer: Any, args: Any, kwargs: Any) -> bool:
    """Whether it returns None beside tensors, and its calls say all that it does."""
    tensors = [
        each
        for each in keras.tree.flatten((args, kwargs))
        if isinstance(each, keras.KerasTensor)
    ]
    masked = any(mask_of(each) is not None for each in tensors)
    if masked or layer.activity_regularizer is not None:
        return False
    with weights_themselves():
        results = results_of(layer.call, args, kwargs)
    return bool(tensors) and results is not None and None in results


def _converted(layer: Any, arguments: Any) -> Any:
    """What `Layer.__call__` makes of arguments before `call`."""

    def converted(value: Any) -> Any:
        if not isinstance(value, keras.KerasTensor):
            return value
        policy = layer.dtype_policy
        return policy.convert_input(value, layer.autocast, layer.input_dtype)

    return keras.tree.map_structure(converted, arguments)
