"""Other methods for a class, for a while."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(kind: Any, **methods: Any) -> Iterator[None]:
    """Gives a class other methods meanwhile; what it inherited is inherited again."""
    own = {name: vars(kind)[name] for name in methods if name in vars(kind)}
    for name, method in methods.items():
        setattr(kind, name, method)
    try:
        yield
    finally:
        for name in methods:
            if name in own:
                setattr(kind, name, own[name])
            else:
                delattr(kind, name)


def taking_the_same(construct: Callable[..., None], by: Any) -> Any:
    """`by`, which takes what a constructor takes.

    Keras reads that, and not always behind what wraps it.
    """
    by.__signature__ = inspect.signature(construct)
    return by
