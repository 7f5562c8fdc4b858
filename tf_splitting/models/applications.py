"""The networks of `keras.applications`, by name, as classifiers of raw pixels."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import keras

from tf_splitting.errors import ModelError
from tf_splitting.models.lookup import unknown_name
from tf_splitting.support import in_a_line


def application_names() -> tuple[str, ...]:
    """The names of the networks, sorted, as `keras.applications` spells them."""
    return tuple(sorted(n for n in dir(keras.applications) if n[:1].isupper()))


def application_name(name: str) -> str | None:
    """The network that is meant, None if there is none.

    Case and underscores may differ: no two names differ in these alone.

    Example:

        >>> application_name("resnet50_v2")
        'ResNet50V2'
    """
    return {_plain(known): known for known in application_names()}.get(_plain(name))


def build_application(
    name: str, input_shape: tuple[int, int, int] = (224, 224, 3), classes: int = 1000
) -> keras.Model:
    """Builds a network with random weights.

    Its own way of preprocessing is part of the graph, so that it takes pixels in
    0..255, and it yields logits: as the MobileNets of this package do.

    Args:
        name: one of `application_names()`, in any case.
        input_shape: `(height, width, 3)`, pixels.
        classes: number of outputs.

    Returns:
        A Functional model, `[batch, *input_shape]` to `[batch, classes]`.

    Raises:
        UnknownNameError: there is no such network.
        ModelError: it does not take images of that size.

    Example:

        >>> build_application("MobileNet", (64, 64, 3), classes=10).output_shape
        (None, 10)
    """
    known = application_name(name)
    if known is None:
        raise unknown_name("application", name, application_names())
    inputs = keras.Input(input_shape, name="image")
    try:
        network = _made(
            known,
            input_tensor=_preprocessing(known)(inputs),
            classes=classes,
            classifier_activation=None,
        )
    except ValueError as error:
        height, width, channels = input_shape
        raise ModelError(
            f"{known} cannot be built for images of {height} x {width} pixels and "
            f"{channels} channels: {in_a_line(error)}. Give another size."
        ) from error
    # Networks on a given tensor want a list of inputs, this one takes the array.
    return keras.Model(inputs, network.outputs[0], name=network.name)


def published_application(name: str, weights: str | None, **options: Any) -> Any:
    """The network as `keras.applications` makes it, with weights of its own.

    Args:
        name: as `keras.applications` spells it.
        weights: "imagenet", the path of a file, or None.
        **options: passed on.
    """
    return _made(name, weights, **options)


def _made(name: str, weights: str | None = None, **options: Any) -> keras.Model:
    return getattr(keras.applications, name)(weights=weights, **options)


def _preprocessing(name: str) -> Callable[[Any], Any]:
    """What Keras has beside each network: the identity where it is part of it."""
    module = sys.modules[getattr(keras.applications, name).__module__]
    return module.preprocess_input


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
