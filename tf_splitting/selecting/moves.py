"""What becomes of a neuron's outgoing weight, where a plan says so itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tf_splitting.errors import PlanError
from tf_splitting.support import instance, number, whole

# Of its outgoing weight, that a parent keeps.
SMALLEST_LEFT = 1e-9


@dataclass(frozen=True)
class Moves:
    """Shares and steps of the neurons that are added to one space.

    With a share w a new neuron takes w of its parent's outgoing weight, of which the
    parent keeps what is left, w'. A new neuron moves by its step d along a direction;
    its parent moves by `-Σ w d / w'`, so that the mean, weighted by shares, stays. The
    loss changes by half the sum of `w d² λ` over parent and children, where λ is the
    splitting index along the direction. So one child with w = ½ is a split into two
    equal copies; a share below 0 gains where λ is above zero; and 0 is a fresh neuron,
    which takes nothing and leaves its parent as it is.

    Attributes:
        shares, steps: one of each for every index of the space.
        along: which direction each neuron moves along: 0 for the one that the scores
            hold, 1 for their second one. Default: all 0.

    Raises:
        PlanError: one is no finite number, or a direction is neither 0 nor 1.
    """

    shares: tuple[float, ...]
    steps: tuple[float, ...]
    along: tuple[int, ...]

    def __init__(
        self,
        shares: Iterable[float],
        steps: Iterable[float],
        along: Iterable[int] | None = None,
    ) -> None:
        for name, given in (("shares", shares), ("steps", steps)):
            checked = tuple(number(name, v, error=PlanError) for v in _all(name, given))
            object.__setattr__(self, name, checked)
        chosen = (0,) * len(self.shares) if along is None else _all("along", along)
        directions = tuple(
            whole("along", v, at_least=0, at_most=1, error=PlanError) for v in chosen
        )
        object.__setattr__(self, "along", directions)


def check_moves(moves: Any, splits: Mapping[str, list[int]]) -> dict[str, Moves]:
    """Moves by space, if they fit the indices; an empty dict for None.

    Raises:
        PlanError: they are something else, there are more or fewer than indices, or a
            neuron would be left without outgoing weight.
    """
    found = {}
    for space, each in ({} if moves is None else moves).items():
        expected = "Moves(shares, steps)"
        found[space] = instance(
            f"moves[{space!r}]", each, Moves, expected, error=PlanError
        )
        indices = splits.get(space, [])
        counts = [len(each.shares), len(each.steps), len(each.along)]
        if counts != [len(indices)] * 3:
            raise PlanError(
                f"Got {counts[0]} shares, {counts[1]} steps and {counts[2]} directions "
                f"for space {space!r}; expected {len(indices)}, one for each index."
            )
        taken: dict[int, float] = {}
        for index, share in zip(indices, each.shares, strict=True):
            taken[index] = taken.get(index, 0.0) + share
        for index, sum_of_shares in taken.items():
            if abs(1 - sum_of_shares) < SMALLEST_LEFT:
                raise PlanError(
                    f"In space {space!r} the new neurons take a share of 1 of neuron "
                    f"{index}'s outgoing weight; expected another: it would be left "
                    "without. Take 0.5 for two equal copies."
                )
    return found


def _all(name: str, given: Any) -> Iterable[Any]:
    expected = "an iterable of numbers"
    values: Iterable[Any] = instance(name, given, Iterable, expected, error=PlanError)
    return tuple(values)
