"""One description of arguments serves a function's signature, documentation and body.

A public function takes its arguments one by one; what runs behind it takes them as one
object. The object's class says what there is: names, types, defaults, checks and words.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Concatenate, ParamSpec, TypeVar

import keras

from tf_splitting.support import one_of

P = ParamSpec("P")
A = TypeVar("A")
R = TypeVar("R")


def takes(
    arguments: Callable[P, A],
) -> Callable[
    [Callable[[keras.Model, Any, A], R]],
    Callable[Concatenate[keras.Model, Any, P], R],
]:
    """Lets `function(model, dataset, arguments)` be called with the arguments by name.

    Args:
        arguments: a dataclass with keywords only. The `Args` of its docstring, behind
            those of the classes it extends, replace the line `{arguments}` of the
            function's.

    Raises (the decorated function):
        UnknownNameError: there is no argument of this name.
        TypeError: one that is needed is missing.
    """

    def decorate(
        function: Callable[[keras.Model, Any, A], R],
    ) -> Callable[Concatenate[keras.Model, Any, P], R]:
        # To the type checker a dataclass is what its constructor takes and makes.
        described: Any = arguments
        shown = _signature(function, described)
        names = [field.name for field in fields(described)]

        @functools.wraps(function)
        def call(*given: Any, **named: Any) -> R:
            for name in named:
                if name not in shown.parameters:
                    one_of("argument", name, names, ", or one of its own")
            bound = shown.bind(*given, **named).arguments
            model, dataset = bound.pop("model"), bound.pop("dataset")
            return function(model, dataset, described(**bound))

        # What `inspect.signature` and `help` look at.
        vars(call)["__signature__"] = shown
        call.__doc__ = _documented(function.__doc__, described)
        return call

    return decorate


def _signature(function: Callable[..., Any], arguments: Any) -> inspect.Signature:
    own = inspect.signature(function)
    first = list(own.parameters.values())[:-1]
    return own.replace(
        parameters=[*first, *inspect.signature(arguments).parameters.values()]
    )


def _documented(text: str | None, arguments: Any) -> str | None:
    if text is None:
        return None
    words = "\n".join(
        _args(kind.__doc__)
        for kind in arguments.__mro__
        if "__dataclass_fields__" in vars(kind)
    )
    return re.sub(r"^ *\{arguments\}", lambda _: words, text, flags=re.MULTILINE)


def _args(text: str | None) -> str:
    """The indented lines behind `Args:` in a docstring."""
    _, _, rest = inspect.cleandoc(text or "").partition("Args:\n")
    lines = []
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            break
        lines.append(f"    {line}" if line else line)
    return "\n".join(lines).rstrip()
