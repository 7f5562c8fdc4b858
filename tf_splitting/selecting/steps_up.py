"""What a space may grow by: its candidates, the best first, in steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_splitting.errors import PlanError
from tf_splitting.estimating import SpaceScores
from tf_splitting.selecting.plan import SplitPlan
from tf_splitting.support import refused
from tf_splitting.tracing import ChannelGraph, ChannelSpace


class StepsUp:
    """What one space may grow by, in the order in which it will be taken."""

    def __init__(
        self, scores: SpaceScores, gain: np.ndarray, multiple: int, limit: int
    ) -> None:
        parents = getattr(scores, "parents", None)
        self.numbered = parents is not None
        self._parents = np.arange(len(gain)) if parents is None else parents
        order = np.argsort(-gain, kind="stable")
        self._order = [int(i) for i in order if gain[i] > 0]
        self._gain = gain
        self._multiple = multiple
        self._limit = limit
        self.taken: list[int] = []

    def chunk(self, width: int) -> tuple[int, float]:
        """Size and gain of the next step up, or (0, 0) if there is none."""
        count = self._multiple - width % self._multiple
        left = self._order[len(self.taken) :]
        if len(left) < count or width + count > self._limit:
            return 0, 0.0
        return count, float(self._gain[left[:count]].sum())

    def take(self, count: int) -> None:
        """Takes the next `count` candidates."""
        start = len(self.taken)
        self.taken += self._order[start : start + count]

    def take_back(self, count: int) -> None:
        """Gives the last `count` candidates back."""
        del self.taken[-count:]

    @property
    def numbers(self) -> list[int]:
        """The candidates taken, by their parents."""
        return sorted(self.taken, key=lambda number: (self._parents[number], number))

    @property
    def parents(self) -> list[int]:
        """Parents of the candidates taken, in their order."""
        return [int(self._parents[number]) for number in self.numbers]


def steps_up(
    scores: Mapping[str, SpaceScores],
    graph: ChannelGraph,
    limits: Mapping[str, int],
    multiple: int,
) -> dict[str, StepsUp]:
    """What each space that has scores and room may grow by.

    Args:
        scores: gains by space.
        graph: the model they belong to.
        limits: largest widths.
        multiple: spaces grow to multiples of this only.
    """
    return {
        space.name: StepsUp(
            scores[space.name],
            _gains_of(scores, space),
            int(multiple),
            limits[space.name],
        )
        for space in graph.growable
        if space.name in scores and limits[space.name] > space.width
    }


def plan_of(steps: Mapping[str, StepsUp], graph: ChannelGraph) -> SplitPlan:
    """The candidates that were taken."""
    chosen = {name: each for name, each in steps.items() if each.taken}
    return SplitPlan(
        {name: each.parents for name, each in chosen.items()},
        made_for={space.name: space.width for space in graph.growable},
        candidates={name: c.numbers for name, c in chosen.items() if c.numbered},
    )


def _gains_of(scores: Mapping[str, SpaceScores], space: ChannelSpace) -> np.ndarray:
    """The gains of a space's candidates, `[candidates]`."""
    gain: Any = getattr(scores[space.name], "gain", None)
    is_numbers = isinstance(gain, np.ndarray) and gain.dtype.kind in "iuf"
    if not is_numbers or gain.ndim != 1 or not np.isfinite(gain).all():
        name = f"scores[{space.name!r}].gain"
        hint = "Run estimate() on this model."
        raise refused(name, gain, "an array of finite numbers", hint, PlanError)
    parents = getattr(scores[space.name], "parents", None)
    if parents is not None:
        _check_parents(parents, len(gain), space)
    elif len(gain) != space.width:
        raise PlanError(
            f"The scores hold {len(gain)} neurons for space {space.name!r}, but it has "
            f"{space.width}. Run estimate() on this model."
        )
    return gain


def _check_parents(parents: Any, count: int, space: ChannelSpace) -> None:
    """Raises unless every candidate of a space is the child of one of its neurons.

    Raises:
        PlanError: one is not.
    """
    is_indices = isinstance(parents, np.ndarray) and parents.dtype.kind in "iu"
    if not is_indices or parents.shape != (count,) or not count:
        expected = f"an array of {count} neuron indices, one for each gain"
        name = f"scores[{space.name!r}].parents"
        raise refused(name, parents, expected, error=PlanError)
    if parents.min() < 0 or parents.max() >= space.width:
        raise PlanError(
            f"The scores hold candidates of neurons {parents.min()} to {parents.max()} "
            f"of space {space.name!r}, which has {space.width} neurons, numbered from "
            "0. Score this model."
        )
