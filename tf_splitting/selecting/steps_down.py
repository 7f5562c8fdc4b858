"""What spaces may lose: their neurons, the cheapest first, in steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_splitting.errors import PlanError
from tf_splitting.selecting.ledger import Ledger
from tf_splitting.selecting.removal_plan import RemovalPlan
from tf_splitting.support import number, refused, whole
from tf_splitting.tracing import ChannelGraph, ChannelSpace


class StepsDown:
    """Widths as they shrink, step by step.

    Args:
        graph: the model.
        ledgers: what it costs; the last is the one that losses are divided by.
        order: neurons of every space that may go and what each costs, in the order in
            which they will.
        floors: smallest widths.
        multiple: spaces that shrink end at multiples of this.

    Attributes:
        ledgers: as given.
        widths: that are left.
        removed: neurons by space, in the order they were chosen in.
    """

    def __init__(
        self,
        graph: ChannelGraph,
        ledgers: list[Ledger],
        order: Mapping[str, list[tuple[int, float]]],
        floors: Mapping[str, int],
        multiple: int,
    ) -> None:
        self.ledgers = ledgers
        self.widths = graph.widths
        self.removed: dict[str, list[int]] = {name: [] for name in order}
        self._graph = graph
        self._order = order
        self._floors = floors
        self._multiple = multiple
        self._steps: list[tuple[float, str, int]] = []

    @property
    def met(self) -> bool:
        """Whether all targets are."""
        return all(ledger.spent <= ledger.target for ledger in self.ledgers)

    def chunk(self, name: str) -> tuple[int, float]:
        """Size and summed cost of a space's next step; (0, ∞) if there is none."""
        width = self.widths[name]
        count = width % self._multiple or self._multiple
        left = self._order[name][len(self.removed[name]) :][:count]
        if width - count < self._floors[name] or len(left) < count:
            return 0, math.inf
        return count, sum(cost for _, cost in left)

    def freed(self, name: str, count: int) -> float:
        """What so many neurons less would free of the last ledger's cost."""
        return -self.ledgers[-1].marginal(self.widths, name, -count)

    def take(self, name: str) -> set[str]:
        """Takes a space's next step; which spaces' marginal costs are others now."""
        count, loss = self.chunk(name)
        self._steps.append((loss, name, count))
        chosen = self._order[name][len(self.removed[name]) :][:count]
        self.removed[name] += [neuron for neuron, _ in chosen]
        return self.change(name, -count)

    def take_back(self, steps: int) -> None:
        """Undoes the last steps."""
        for _ in range(steps):
            _, name, count = self._steps.pop()
            del self.removed[name][-count:]
            self.change(name, count)

    def change(self, name: str, count: int) -> set[str]:
        """Changes a width; which spaces' marginal costs are others now."""
        touched: set[str] = set()
        for ledger in self.ledgers:
            ledger.spent += ledger.marginal(self.widths, name, count)
            touched |= ledger.neighbours(name)
        self.widths[name] += count
        return touched | {name}

    def fits(self, name: str, count: int) -> bool:
        """Whether a space may have so many neurons more."""
        return all(
            ledger.spent + ledger.marginal(self.widths, name, count) <= ledger.target
            for ledger in self.ledgers
        )

    def restore(self, *, unpaid: bool = False) -> None:
        """Takes back what fits again, the most costly first.

        Args:
            unpaid: also what cost nothing.
        """
        kept: set[str] = set()
        for loss, name, count in sorted(self._steps, reverse=True):
            # Only what was chosen last of a space can be taken back before the rest.
            last = self._chunk_before(name)
            if (loss <= 0 and not unpaid) or name in kept or last != count:
                continue
            if self.fits(name, count):
                del self.removed[name][-count:]
                self.change(name, count)
            else:
                kept.add(name)

    def plan(self) -> RemovalPlan:
        """What has been chosen."""
        return RemovalPlan(
            {name: indices for name, indices in self.removed.items() if indices},
            made_for={space.name: space.width for space in self._graph.growable},
        )

    def _chunk_before(self, name: str) -> int:
        """Size of the step that led to the present width; 0 if there was none."""
        start = self._graph.space(name).width
        return min(self._multiple, start - self.widths[name])


def costs_in_order(
    scores: Mapping[str, Any], graph: ChannelGraph
) -> dict[str, list[tuple[int, float]]]:
    """By space the neurons that may go and what each costs, the cheapest first."""
    return {
        space.name: _in_order(scores, space)
        for space in graph.growable
        if space.name in scores
    }


def _in_order(
    scores: Mapping[str, Any], space: ChannelSpace
) -> list[tuple[int, float]]:
    """Neurons of a space that may go and what each costs, the cheapest first."""
    costs: Any = scores[space.name]
    is_numbers = isinstance(costs, np.ndarray) and costs.dtype.kind in "iuf"
    if not is_numbers or costs.shape != (space.width,) or np.isnan(costs).any():
        name = f"scores[{space.name!r}]"
        expected = f"an array of {space.width} numbers, one for each neuron"
        hint = "Run estimate_removals() on this model."
        raise refused(name, costs, expected, hint, PlanError)
    order = np.argsort(costs, kind="stable")
    return [(int(i), float(costs[i])) for i in order if costs[i] < math.inf]


def check_floors(
    graph: ChannelGraph,
    width_multiple: int,
    min_widths: int | Mapping[str, int],
    max_shrinkage: float,
) -> dict[str, int]:
    """The smallest width that every growable space may have, by name.

    Raises:
        PlanError: an argument is out of range, or `min_widths` names no space.
    """
    whole("width_multiple", width_multiple, at_least=1, error=PlanError)
    most = number(
        "max_shrinkage", max_shrinkage, above=1, finite=False, error=PlanError
    )
    floors = {
        s.name: max(graph.floors[s.name], math.ceil(s.width / most))
        for s in graph.growable
    }
    if not isinstance(min_widths, Mapping):
        least = whole("min_widths", min_widths, at_least=1, error=PlanError)
        return {name: max(floor, least) for name, floor in floors.items()}
    for name, width in min_widths.items():
        space = graph.space(name)
        least = whole(f"min_widths[{name!r}]", width, at_least=1, error=PlanError)
        if least > space.width:
            raise PlanError(
                f"Got min_widths[{name!r}]={least}; expected {space.width} at most, "
                "the width that the space has."
            )
        floors[name] = max(floors.get(name, least), least)
    return floors
