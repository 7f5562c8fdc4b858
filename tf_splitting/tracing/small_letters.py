"""Sums of products whose axes have capital letters for names.

`ops.einsum("BTNH,BSNH->BNTS", q, k)` runs, but Keras cannot say the shape of what comes
out: of letters that an operand has not, it knows small ones only. What an equation says
does not depend on the letters, so that it is read in small ones where a call is
followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from string import ascii_lowercase
from typing import Any

import keras

from tf_splitting.tracing.keras_internals import operation_types
from tf_splitting.tracing.replacing import replaced, taking_the_same

(_EINSUM,) = operation_types(lambda x: keras.ops.einsum("abcd->ab", x))


def in_small_letters(equation: str) -> str:
    """The equation without spaces, its capital letters replaced by others.

    It stays as it is if it leaves the result to the order of the letters, or if there
    are too many of them.
    """
    equation = equation.replace(" ", "")
    used = {letter for letter in equation if letter.isalpha()}
    capitals = sorted(used - set(ascii_lowercase))
    spare = sorted(set(ascii_lowercase) - used)
    if "->" not in equation or len(capitals) > len(spare):
        return equation
    return equation.translate(
        str.maketrans("".join(capitals), "".join(spare[: len(capitals)]))
    )


@contextmanager
def einsum_in_small_letters() -> Iterator[None]:
    """Lets `ops.einsum` leave operations in a graph whose letters are small."""
    kind: Any = _EINSUM
    # Keras keeps for a config what `__new__` was given.
    create, construct = kind.__new__, kind.__init__

    def new(cls: Any, subscripts: str, *args: Any, **kwargs: Any) -> Any:
        return create(cls, in_small_letters(subscripts), *args, **kwargs)

    def init(self: Any, subscripts: str, *args: Any, **kwargs: Any) -> None:
        construct(self, in_small_letters(subscripts), *args, **kwargs)

    init = taking_the_same(construct, init)
    with replaced(kind, __new__=staticmethod(new), __init__=init):
        yield
