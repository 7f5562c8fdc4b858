"""Checks of the arguments that users pass, by name and before any work starts.

Each returns the value as what it stands for, or raises an error that says what came,
what was expected and what to do. NumPy's scalars count as numbers; booleans and text do
not, whatever Python makes of them.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Collection, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from tf_splitting.errors import SplittingError, unknown_choice

Kind = type[SplittingError]

# A disk that is full or broken is no wrong argument: its errors stay what they are.
DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@overload
def whole(
    name: str,
    value: Any,
    *,
    at_least: int | None = None,
    at_most: int | None = None,
    or_none: Literal[False] = False,
    hint: str = "Pass one.",
    error: Kind = SplittingError,
) -> int: ...
@overload
def whole(
    name: str,
    value: Any,
    *,
    at_least: int | None = None,
    at_most: int | None = None,
    or_none: bool,
    hint: str = "Pass one.",
    error: Kind = SplittingError,
) -> int | None: ...
def whole(
    name: str,
    value: Any,
    *,
    at_least: int | None = None,
    at_most: int | None = None,
    or_none: bool = False,
    hint: str = "Pass one.",
    error: Kind = SplittingError,
) -> int | None:
    """A whole number within bounds, as an int.

    Args:
        name: of the argument, for the message.
        value: what came.
        at_least, at_most: bounds, themselves allowed.
        or_none: None is allowed too, and returned.
        hint: what to do, the message's last sentence.
        error: class of the error.

    Raises:
        SplittingError: it is none, or out of bounds.

    Example:
        >>> whole("rounds", 2.5, at_least=1)
        SplittingError: Got rounds=2.5; expected a whole number of at least 1. Pass one.
    """
    if value is None and or_none:
        return None
    bounds = {"of at least": at_least, "at most": at_most}
    if not _is(Integral, value) or not _within(value, at_least, at_most):
        expected = _described("a whole number", bounds, or_none)
        raise refused(name, value, expected, hint, error)
    return int(value)


@overload
def number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    finite: bool = True,
    or_none: Literal[False] = False,
    otherwise: str = "",
    hint: str = "Pass one.",
    error: Kind = SplittingError,
) -> float: ...
@overload
def number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    finite: bool = True,
    or_none: bool,
    otherwise: str = "",
    hint: str = "Pass one.",
    error: Kind = SplittingError,
) -> float | None: ...
def number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    finite: bool = True,
    or_none: bool = False,
    otherwise: str = "",
    hint: str = "Pass one.",
    error: Kind = SplittingError,
) -> float | None:
    """A real number within bounds, as a float; never NaN.

    Args:
        name: of the argument, for the message.
        value: what came.
        above, at_least, below, at_most: bounds.
        finite: infinity is refused too.
        or_none: None is allowed too, and returned.
        otherwise: what else is allowed, for the message: " or 'fresh'".
        hint: what to do, the message's last sentence.
        error: class of the error.

    Raises:
        SplittingError: it is none, or out of bounds.

    Example:
        >>> number("growth", 1.0, above=1)
        SplittingError: Got growth=1.0; expected a finite number above 1. Pass one.
    """
    if value is None and or_none:
        return None
    if _is(Real, value):
        given = _as_float(value)
        within = (
            _within(given, at_least, at_most)
            and (above is None or given > above)
            and (below is None or given < below)
        )
        if within and (math.isfinite(given) or (not finite and not math.isnan(given))):
            return given
    bounds = {
        "above": above,
        "of at least": at_least,
        "below": below,
        "at most": at_most,
    }
    kind = "a finite number" if finite else "a number"
    expected = _described(kind, bounds, or_none) + otherwise
    raise refused(name, value, expected, hint, error)


def truth(name: str, value: Any, *, error: Kind = SplittingError) -> bool:
    """True or False, as a bool; 1 and 0 stand for them.

    Raises:
        SplittingError: it is neither.
    """
    if isinstance(value, bool | np.bool_) or (_is(Integral, value) and value in (0, 1)):
        return bool(value)
    raise refused(name, value, "True or False", "Pass one of these.", error)


def verbosity(value: Any) -> int:
    """A `verbose` argument: True and False stand for 1 and 0.

    Raises:
        SplittingError: it is no whole number of at least 0.
    """
    if isinstance(value, bool | np.bool_):
        return int(value)
    hint = "0 is silent, 1 is not."
    return whole("verbose", value, at_least=0, hint=hint)


def one_of(name: str, value: Any, names: Collection[str], otherwise: str = "") -> str:
    """One of some names.

    Args:
        name: of the argument, for the message.
        value: what came.
        names: the names.
        otherwise: what else is allowed, for the message: " or a function".

    Raises:
        UnknownNameError: it is none; the nearest name is told.
    """
    if isinstance(value, str) and value in names:
        return value
    raise unknown_choice(name, value, names, otherwise)


def instance(
    name: str,
    value: Any,
    kind: type | tuple[type, ...],
    expected: str,
    hint: str = "Pass one.",
    *,
    error: Kind = SplittingError,
) -> Any:
    """An object of a class.

    Raises:
        SplittingError: it is of another; `expected` and `hint` say the rest.

    Example:
        >>> instance("plan", {}, SplitPlan, "a SplitPlan", "Wrap it in SplitPlan(...).")
        SplittingError: Got plan={}; expected a SplitPlan. Wrap it in SplitPlan(...).
    """
    if isinstance(value, kind):
        return value
    raise refused(name, value, expected, hint, error)


def behaving(
    name: str,
    value: Any,
    methods: Collection[str],
    expected: str,
    hint: str = "Pass one.",
    *,
    error: Kind = SplittingError,
) -> Any:
    """An object, not a class, that has these methods.

    Raises:
        SplittingError: it has not; `expected` and `hint` say the rest.
    """
    has_all = all(callable(getattr(value, method, None)) for method in methods)
    if has_all and not isinstance(value, type):
        return value
    raise refused(name, value, expected, hint, error)


def path(name: str, value: Any, *, error: Kind = SplittingError) -> Path:
    """A path; whether there is something is not asked.

    Raises:
        SplittingError: it is no path.
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise refused(name, value, "a path, as text or pathlib.Path", error=error)
    return Path(text)


def class_weights(value: Any) -> dict[int, float] | None:
    """A `class_weight` argument, as `fit` takes it.

    Raises:
        SplittingError: it is no mapping from class numbers to weights.
    """
    if value is None:
        return None
    expected = "a mapping from class numbers to weights, such as {0: 1.0, 1: 2.5}"
    instance("class_weight", value, Mapping, expected)
    return {
        whole("a class of class_weight", key, at_least=0): number(
            f"class_weight[{key}]", weight, at_least=0
        )
        for key, weight in value.items()
    }


def refused(
    name: str,
    value: Any,
    expected: str,
    hint: str = "Pass one.",
    error: Kind = SplittingError,
) -> SplittingError:
    """The error for an argument: what came, what was expected, what to do."""
    return error(f"Got {name}={shown(value)}; expected {expected}. {hint}")


def shown(value: Any, longest: int = 80) -> str:
    """The repr of a value on one line, cut if it is long."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python refuses to write out integers of 4,300 digits.
        text = f"<{type(value).__name__}>"
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def in_a_line(error: Exception | str, longest: int = 300) -> str:
    """What an error of another library says, on one line and cut if it is long."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _is(kind: type, value: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _within(value: Any, at_least: Any, at_most: Any) -> bool:
    above = at_least is None or value >= at_least
    return above and (at_most is None or value <= at_most)


def _described(
    kind: str, bounds: Mapping[str, float | None], or_none: bool = False
) -> str:
    """A kind of number with its bounds: "a finite number above 0 and at most 1"."""
    words = [f"{word} {bound}" for word, bound in bounds.items() if bound is not None]
    return " ".join([kind, " and ".join(words)]).strip() + " or None" * or_none
