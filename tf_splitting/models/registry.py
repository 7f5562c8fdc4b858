"""Models by name, for command lines and saved settings."""

import inspect
from typing import Any

import keras

from tf_splitting.models.lookup import unknown_name
from tf_splitting.models.v1 import mobilenet_v1
from tf_splitting.models.v2 import mobilenet_v2

BUILDERS = {"mobilenet_v1": mobilenet_v1, "mobilenet_v2": mobilenet_v2}


def names() -> tuple[str, ...]:
    """The names that `build` accepts, sorted."""
    return tuple(sorted(BUILDERS))


def build(name: str, **options: Any) -> keras.Model:
    """Builds the model registered under `name`.

    Args:
        name: one of `names()`.
        **options: passed on, see `mobilenet_v1` and `mobilenet_v2`.

    Raises:
        UnknownNameError: nothing is registered under `name`, or an option has no such
            name.
        ModelError: an option is out of range.

    Example:

        >>> build("mobilenet_v1", input_shape=(32, 32, 3), classes=10).output_shape
        (None, 10)
    """
    if not isinstance(name, str) or name not in BUILDERS:
        raise unknown_name("model", name, BUILDERS)
    known = inspect.signature(BUILDERS[name]).parameters
    for option in options:
        if option not in known:
            raise unknown_name(f"option of {name}", option, known)
    return BUILDERS[name](**options)
