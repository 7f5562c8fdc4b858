"""Directions to split along, by channel space: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import numpy as np

from tf_splitting.errors import PlanError
from tf_splitting.support import instance, refused


@dataclass(frozen=True)
class Directions:
    """Directions to split one space's neurons along, in relative units.

    Attributes:
        incoming: producer kernel name to an array of the kernel's shape, its output
            axis restricted to the space.
        outgoing: consumer kernel name likewise, its input axis restricted.
        fresh: incoming weights of candidates, where they are not drawn: producer kernel
            name to an array of the kernel's shape, but for the output axis, along which
            the candidates lie. Their norm does not count.
        second_incoming, second_outgoing: of a second direction of every neuron, for
            plans that move copies along two (`Moves.along`).
    """

    incoming: Mapping[str, np.ndarray]
    outgoing: Mapping[str, np.ndarray]
    fresh: Mapping[str, np.ndarray] = field(default_factory=dict)
    second_incoming: Mapping[str, np.ndarray] = field(default_factory=dict)
    second_outgoing: Mapping[str, np.ndarray] = field(default_factory=dict)


def check_directions(name: str, given: Any) -> dict[str, Any]:
    """Directions by space, if it is that; an empty dict for None.

    Args:
        name: of the argument, for messages.
        given: space name to `Directions`, or to the `SpaceScores` of `estimate`.

    Raises:
        PlanError: it is something else, or holds NaN or infinite values.
    """
    expected = "a mapping from space names to Directions or SpaceScores"
    known = by_space(name, given, expected, "Pass what estimate() returned.")
    for space, directions in known.items():
        for side in fields(Directions):
            where = f"{name}[{space!r}].{side.name}"
            expected = "a mapping from kernel names to arrays"
            needed = side.default_factory is MISSING
            held = getattr(directions, side.name, None if needed else {})
            arrays = instance(where, held, Mapping, expected, error=PlanError)
            for kernel, array in arrays.items():
                is_array = isinstance(array, np.ndarray) and array.dtype.kind in "biuf"
                if not is_array or not np.isfinite(array).all():
                    expected = "an array of finite numbers"
                    where = f"{where}[{kernel!r}]"
                    raise refused(where, array, expected, error=PlanError)
    return known


def by_space(
    name: str, given: Any, expected: str, hint: str = "Pass one."
) -> dict[str, Any]:
    """A mapping whose keys are names, as a dict; an empty one for None."""
    given = {} if given is None else given
    if not isinstance(given, Mapping) or not all(isinstance(k, str) for k in given):
        raise refused(name, given, expected, hint, PlanError)
    return {str(space): value for space, value in given.items()}
