"""Errors the toolkit raises for input it cannot work with.

Every message says what came, what was expected and what to do. All derive from
`SplittingError`, itself a `ValueError`.
"""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from textwrap import shorten
from typing import Any

_CALLING = "Exception encountered when calling"
_CAUSE = "Exception encountered:"


class SplittingError(ValueError):
    """Base of every error that this package raises on purpose."""


def in_short(error: Exception, most: int = 200) -> str:
    """Type and first line of an error that others raise, for a message of ours.

    Keras says first which call it was, and then what was wrong.
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(_CALLING)] or lines or [""]
    causes = [line for line in said if line.startswith(_CAUSE)]
    first = causes[-1].removeprefix(_CAUSE).strip() if causes else said[0]
    return f"{type(error).__name__}: {shorten(first, most, placeholder=' ...')}"


class SplittingWarning(UserWarning):
    """Category of the warnings that this package gives."""


class BackendError(SplittingError):
    """Keras runs on a backend, or on devices, that this cannot be done on."""


class ModelError(SplittingError):
    """The model cannot be traced, trained or grown."""


class DataError(SplittingError):
    """The dataset does not fit the model, is empty or cannot be read."""


class BudgetError(SplittingError):
    """The target cannot be reached from where the model stands."""


class PlanError(SplittingError):
    """A split plan does not fit the model it is applied to."""


class RebuildError(SplittingError):
    """A rebuilt model is not what was planned, or computes something else.

    Attributes:
        model: the model before the split, unharmed.
    """

    def __init__(self, message: str, model: Any) -> None:
        super().__init__(message)
        self.model = model


class UnknownNameError(SplittingError):
    """A name (of a model, a cost, a solver, ...) that nothing is registered under."""


class NonFiniteLossError(SplittingError):
    """The loss became NaN or infinite."""


class CheckpointError(SplittingError):
    """Checkpoints cannot be written or read in the directory that was given."""


class LockedError(CheckpointError):
    """Another process works in the directory that was given."""


class PeerError(SplittingError):
    """A job that several processes share cannot go on in this one."""


class Interrupted(KeyboardInterrupt):
    """A job has stopped because it was asked to.

    Not an `Exception`, as little as Ctrl-C is: whoever catches those goes on.

    Attributes:
        reason: why it was asked to.
        checkpoint: what it goes on from, if anything was saved.
    """

    def __init__(self, reason: str, checkpoint: Path | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.checkpoint = checkpoint


def unknown_choice(
    argument: str, value: object, valid: Iterable[str], otherwise: str = ""
) -> UnknownNameError:
    """The error for an argument that must be one of some names, the nearest one named.

    Example:
        >>> str(unknown_choice("cost", "param", ["macs", "params"]))
        "Got cost='param'; expected one of ['macs', 'params']. The nearest name ..."
    """
    names = sorted(valid)
    near = difflib.get_close_matches(str(value), names, n=1, cutoff=0)[0]
    return UnknownNameError(
        f"Got {argument}={value!r}; expected one of {names}{otherwise}. The nearest "
        f"name is {near!r}."
    )
