"""What becomes of a neuron's outgoing weight, where a plan says so itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tf_splitting.errors import PlanError
from tf_splitting.support import instance, number


@dataclass(frozen=True)
class Moves:
    """Shares and steps of the neurons that are added to one space.

    With a share w a new neuron takes w of its parent's outgoing weight, its parent
    keeps 1 - w, and they move apart by the step d: the new one by `(1 - w) d` along the
    direction, its parent by `-w d`. The loss changes by `½ w (1 - w) d² λ`. So w = ½ is
    a split into two equal copies, a share below 0 (or above 1) gains where λ is above
    zero, and 0 is a fresh neuron, which takes nothing and leaves its parent as it is.

    Attributes:
        shares, steps: one of each for every index of the space.

    Raises:
        PlanError: one is no finite number, or a share is 1.
    """

    shares: tuple[float, ...]
    steps: tuple[float, ...]

    def __init__(self, shares: Iterable[float], steps: Iterable[float]) -> None:
        for name, given in (("shares", shares), ("steps", steps)):
            expected = "an iterable of numbers"
            values = instance(name, given, Iterable, expected, error=PlanError)
            checked = tuple(number(f"{name}", v, error=PlanError) for v in values)
            object.__setattr__(self, name, checked)
        if 1.0 in self.shares:
            raise PlanError(
                "Got a share of 1; expected another: the parent would be left without "
                "outgoing weight. Take 0.5 for equal copies."
            )


def check_moves(moves: Any, splits: Mapping[str, list[int]]) -> dict[str, Moves]:
    """Moves by space, if they fit the indices; an empty dict for None.

    Raises:
        PlanError: they are something else, there are more or fewer than indices, or a
            neuron shares its outgoing weight with two others.
    """
    found = {}
    for space, each in ({} if moves is None else moves).items():
        expected = "Moves(shares, steps)"
        found[space] = instance(
            f"moves[{space!r}]", each, Moves, expected, error=PlanError
        )
        indices = splits.get(space, [])
        counts = len(each.shares), len(each.steps)
        if counts != (len(indices), len(indices)):
            raise PlanError(
                f"Got {counts[0]} shares and {counts[1]} steps for space {space!r}; "
                f"expected {len(indices)}, one for each index."
            )
        parents = [i for i, w in zip(indices, each.shares, strict=True) if w]
        if len({*parents}) != len(parents):
            raise PlanError(
                f"In space {space!r} a neuron shares its outgoing weight with two new "
                "ones; expected one. Split it again in another plan."
            )
    return found
