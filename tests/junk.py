"""Values that are wrong for almost any argument, and what may be right all the same.

`refuses` feeds a call with them, one argument at a time. What an argument takes is said
by a predicate: everything else has to come out as an error of this package.
"""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import keras
import nets
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tf_splitting import SplittingError


class Hidden(keras.Model):
    """A model whose graph is inside `call`."""

    def call(self, x):
        return x


POOL = (
    None,
    True,
    False,
    0,
    -1,
    -7,
    0.0,
    -0.5,
    1.5,
    math.nan,
    math.inf,
    -math.inf,
    1e308,
    -(10**400),
    "",
    "junk",
    "1",
    "a\0b",
    b"bytes",
    [],
    [1],
    ["a"],
    [[1], [1, 2]],
    (),
    (1, 2),
    {},
    {"a": 1},
    {1: 2},
    {"first": None},
    {"first": -1},
    {"first": "a"},
    {"first": math.nan},
    set(),
    range(3),
    1j,
    object(),
    int,
    keras.Model,
    np.nan,
    np.float32(-2),
    np.bool_(True),
    np.str_("junk"),
    np.zeros(0),
    np.zeros((2, 3)),
    np.full(4, np.nan),
    np.array("x"),
    np.array([None, "a"]),
    np.array(3),
    Path("none") / "such",
    keras.layers.Dense(2),
    keras.Sequential(),
    Hidden(),
)


# Values made up for each argument, besides those that every argument gets.
EXAMPLES = 8
# Wrong values that every argument gets: of all no argument takes more than half.
LEAST = EXAMPLES + len(POOL) // 2
# Of `model`.
MACS = 62


def made_up():
    """Values beyond the pool."""
    return st.one_of(
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.binary(max_size=4),
        st.lists(st.one_of(st.integers(), st.text(max_size=3)), max_size=3),
        st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
        st.complex_numbers(),
    )


def is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_truth(value: Any) -> bool:
    return isinstance(value, bool | np.bool_) or (is_whole(value) and value in (0, 1))


def whole(at_least: int, *others: Any) -> Callable[[Any], bool]:
    """Takes whole numbers, and these other values."""
    return lambda v: (is_whole(v) and v >= at_least) or _among(v, others)


def number(
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: float | None = None,
    below: float | None = None,
    finite: bool = True,
) -> Callable[[Any], bool]:
    """Takes numbers within bounds."""

    def takes(value: Any) -> bool:
        if not isinstance(value, Real) or isinstance(value, bool):
            return False
        try:
            value = float(value)
        except OverflowError:
            value = math.inf if value > 0 else -math.inf
        if math.isnan(value) or (finite and math.isinf(value)):
            return False
        inside = (above is None or value > above) and (below is None or value < below)
        return inside and low <= value <= high

    return takes


def is_path(value: Any) -> bool:
    text = str(value) if isinstance(value, str | Path) else ""
    return bool(text) and "\0" not in text


def only(*allowed: Any) -> Callable[[Any], bool]:
    """Takes just these."""
    return lambda value: _among(value, allowed)


def either(*takes: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Takes what one of them takes."""
    return lambda value: any(each(value) for each in takes)


def is_empty_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and not value


def is_function(value: Any) -> bool:
    """Functions are the user's own; what they raise is theirs too."""
    return callable(value)


def is_widths(value: Any) -> bool:
    """What `max_widths` may be."""
    return is_empty_mapping(value) or whole(1, None)(value)


def is_class_weight(value: Any) -> bool:
    if value is None:
        return True
    key, weight = whole(0), number(0)
    return isinstance(value, dict) and all(
        key(k) and weight(v) for k, v in value.items()
    )


def nothing(value: Any) -> bool:
    """Takes none of the junk."""
    return False


def _among(value: Any, allowed: tuple[Any, ...]) -> bool:
    return any(
        value is each or (type(value) is type(each) is str and value == each)
        for each in allowed
    )


@functools.cache
def model() -> keras.Model:
    """A compiled model of three Dense layers, for functions that leave it alone."""
    return nets.ready("dense")


@dataclass(frozen=True)
class Function:
    """A function and how to call it.

    Attributes:
        call: the function.
        valid: makes arguments that it takes, by name.
        takes: for each argument to be replaced, whether a value is right. It may be
            right and too much work: such values are left out, that is all.
        others: more calls that are right, as changes of the valid arguments.
    """

    call: Callable[..., Any]
    valid: Callable[[], dict[str, Any]]
    takes: dict[str, Callable[[Any], bool]]
    others: tuple[dict[str, Any], ...] = field(default=())


def refuses(function: Function, argument: str, examples: int) -> int:
    """Calls a function with wrong values of one argument; how many there were.

    Args:
        function: every call has to raise a `SplittingError` that says something.
        argument: name of the argument to replace.
        examples: how many values are made up, besides those of the pool.
    """
    valid = function.valid()
    takes = function.takes[argument]
    calls = 0

    def refuse(value):
        nonlocal calls
        calls += 1
        with pytest.raises(SplittingError, match=r".{20}"):
            function.call(**{**valid, argument: value})

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(made_up().filter(lambda value: not takes(value)))
    def refuse_all(value):
        refuse(value)

    for value in POOL:
        # A job builds a model that it can call, and the next function would find it so.
        fresh = Hidden() if isinstance(value, Hidden) else value
        if not takes(fresh):
            refuse(fresh)
    refuse_all()
    return calls
