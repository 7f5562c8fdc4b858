"""`select_removals`: the neurons that cost least for the budget they free."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_splitting.costs import COSTS, Cost, get_cost
from tf_splitting.errors import BudgetError, PlanError
from tf_splitting.selecting.ledger import Ledger
from tf_splitting.selecting.plan_text import check_graph
from tf_splitting.selecting.removal_plan import RemovalPlan
from tf_splitting.support import instance, number, refused, whole
from tf_splitting.tracing import ChannelGraph, ChannelSpace


def select_removals(
    scores: Mapping[str, Any],
    graph: ChannelGraph,
    *,
    target_macs: float = math.inf,
    cost: str | Cost = "macs",
    target_cost: float = math.inf,
    width_multiple: int = 1,
    min_widths: int | Mapping[str, int] = 1,
    max_shrinkage: float = math.inf,
) -> RemovalPlan:
    """Chooses neurons to remove, greedily by what they cost per what they free.

    Costs are bilinear in neighbouring widths, so what a neuron frees is recomputed
    after every choice. Once the targets are met, neurons chosen before, the most
    costly first, stay all the same if the model may have them.

    Args:
        scores: what removals cost by space, from `estimate_removals`.
        graph: the model they belong to.
        target_macs: multiply-accumulates that the smaller model may have at most.
        cost: what a removal's cost is divided by: `"macs"`, `"params"`, or a function
            `cost(graph, widths) -> float` that never falls when a width grows.
        target_cost: what the smaller model may cost at most, in the units of `cost`.
        width_multiple: spaces that shrink end at multiples of this.
        min_widths: smallest width of every space, or of spaces by name.
        max_shrinkage: largest ratio of a space's old width to its new, above 1.

    Returns:
        A `RemovalPlan`, empty if the model meets the targets already.

    Raises:
        BudgetError: the targets cannot be met with these widths.
        PlanError: the scores do not fit the graph; an argument is out of range.
        UnknownNameError: no cost has this name.
        ModelError: the MACs of the model are not known.

    Example:
        >>> plan = tf_splitting.select_removals(scores, graph, target_macs=0.5 * macs)
        >>> print(plan)
    """
    check_graph(graph)
    expected = "a mapping from space names to costs"
    hint = "Pass what estimate_removals() returned."
    instance("scores", scores, Mapping, expected, hint, error=PlanError)
    for name in scores:
        graph.space(name)
    floors = _floors(graph, width_multiple, min_widths, max_shrinkage)
    targets: list[tuple[Cost, float]] = [
        (COSTS["macs"], _number("target_macs", target_macs)),
        (get_cost(cost), _number("target_cost", target_cost)),
    ]
    ledgers = [Ledger(graph, c, target) for c, target in targets]
    order = {
        space.name: _order(scores, space)
        for space in graph.growable
        if space.name in scores
    }
    choice = _Choice(graph, ledgers, order, floors, width_multiple)
    choice.shrink()
    choice.restore()
    return RemovalPlan(
        {name: indices for name, indices in choice.removed.items() if indices},
        made_for={space.name: space.width for space in graph.growable},
    )


# Compares as worse than any step.
_NOTHING = (2, math.inf)


class _Choice:
    """What has been chosen so far.

    Attributes:
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
        self.widths = graph.widths
        self.removed: dict[str, list[int]] = {name: [] for name in order}
        self._graph = graph
        self._ledgers = ledgers
        self._order = order
        self._floors = floors
        self._multiple = multiple
        self._steps: list[tuple[float, str, int]] = []

    @property
    def met(self) -> bool:
        """Whether all targets are."""
        return all(ledger.spent <= ledger.target for ledger in self._ledgers)

    def shrink(self) -> None:
        """Removes neurons until the targets are met.

        Raises:
            BudgetError: nothing is left that may go.
        """
        ratios = {name: self._ratio(name) for name in self.removed}
        while not self.met:
            best = min(ratios, key=ratios.__getitem__, default="")
            if ratios.get(best, _NOTHING) == _NOTHING:
                raise self._refusal()
            count, loss = self._chunk(best)
            self._steps.append((loss, best, count))
            chosen = self._order[best][len(self.removed[best]) :][:count]
            self.removed[best] += [neuron for neuron, _ in chosen]
            for name in self._change(best, -count) & ratios.keys():
                ratios[name] = self._ratio(name)

    def restore(self) -> None:
        """Takes back what fits again, the most costly first."""
        kept: set[str] = set()
        for loss, name, count in sorted(self._steps, reverse=True):
            # Only what was chosen last of a space can be taken back before the rest.
            last = self._chunk_before(name)
            if loss <= 0 or name in kept or last != count:
                continue
            prices = [led.marginal(self.widths, name, count) for led in self._ledgers]
            if all(
                ledger.spent + price <= ledger.target
                for ledger, price in zip(self._ledgers, prices, strict=True)
            ):
                del self.removed[name][-count:]
                self._change(name, count)
            else:
                kept.add(name)

    def _chunk(self, name: str) -> tuple[int, float]:
        """Size and summed cost of the next step down; (0, ∞) if there is none."""
        width = self.widths[name]
        count = width % self._multiple or self._multiple
        left = self._order[name][len(self.removed[name]) :][:count]
        if width - count < self._floors[name] or len(left) < count:
            return 0, math.inf
        return count, sum(cost for _, cost in left)

    def _chunk_before(self, name: str) -> int:
        """Size of the step that led to the present width; 0 if there was none."""
        start = self._graph.space(name).width
        return min(self._multiple, start - self.widths[name])

    def _ratio(self, name: str) -> tuple[int, float]:
        """Cost per what is freed, to compare; what frees nothing alone comes last."""
        count, loss = self._chunk(name)
        if not count:
            return _NOTHING
        freed = -self._ledgers[-1].marginal(self.widths, name, -count)
        return (0, loss / freed) if freed > 0 else (1, loss)

    def _change(self, name: str, count: int) -> set[str]:
        """Changes a width; which spaces' marginal costs are others now."""
        touched: set[str] = set()
        for ledger in self._ledgers:
            ledger.spent += ledger.marginal(self.widths, name, count)
            touched |= ledger.neighbours(name)
        self.widths[name] += count
        return touched | {name}

    def _refusal(self) -> BudgetError:
        missed = [led for led in self._ledgers if led.spent > led.target]
        what = " and ".join(
            f"{led.name} of {led.spent:g} where {led.target:g} were asked for"
            for led in missed
        )
        return BudgetError(
            f"The targets cannot be met: with all that may go removed, model "
            f"{self._graph.name!r} has {what}. Raise the targets, or lower min_widths "
            "or raise max_shrinkage."
        )


def _order(scores: Mapping[str, Any], space: ChannelSpace) -> list[tuple[int, float]]:
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


def _floors(
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
    floors = {s.name: max(1, math.ceil(s.width / most)) for s in graph.growable}
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
        floors[name] = max(floors.get(name, 1), least)
    return floors


def _number(name: str, value: float) -> float:
    return number(name, value, finite=False, error=PlanError)
