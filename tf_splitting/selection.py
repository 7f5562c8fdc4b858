"""`select`: the neurons whose splits buy the most loss for the budget."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tf_splitting.costs import COSTS, Cost, TermCost, get_cost
from tf_splitting.errors import BudgetError, PlanError
from tf_splitting.graph import ChannelGraph, ChannelSpace
from tf_splitting.layout import size
from tf_splitting.plan import SplitPlan
from tf_splitting.scores import SpaceScores


def select(
    scores: Mapping[str, SpaceScores],
    graph: ChannelGraph,
    *,
    target_macs: float,
    cost: str | Cost = "macs",
    target_cost: float = math.inf,
    width_multiple: int = 1,
    max_widths: int | Mapping[str, int] | None = None,
    max_growth: float = 2.0,
) -> SplitPlan:
    """Chooses neurons to split, greedily by gain per marginal cost.

    MACs are bilinear in neighbouring widths, so costs are recomputed after every
    choice. Every neuron is split at most once, and only if its gain is positive.

    Args:
        scores: gains by space, from `estimate`.
        graph: the model they belong to.
        target_macs: multiply-accumulates that the grown model may have at most.
        cost: what a gain is divided by: `"macs"`, `"params"`, or a function
            `cost(graph, widths) -> float` that never falls when a width grows.
        target_cost: what the grown model may cost at most, in the units of `cost`.
        width_multiple: spaces grow to multiples of this only.
        max_widths: largest width of every space, or of spaces by name.
        max_growth: largest ratio of a space's new width to its old.

    Returns:
        A `SplitPlan`, empty if nothing gains or fits.

    Raises:
        BudgetError: the model has more MACs, or costs more, than the targets.
        PlanError: the scores do not fit the graph; an argument is out of range.

    Example:
        >>> plan = tf_splitting.select(scores, graph, target_macs=1.5 * macs)
        >>> print(plan)

    Source: Wang et al., arXiv 1910.03103, section 3.
    """
    if width_multiple < 1 or max_growth <= 1:
        raise PlanError(
            f"Got width_multiple={width_multiple}, max_growth={max_growth}; expected "
            "width_multiple >= 1 and max_growth > 1."
        )
    budgets = [(COSTS["macs"], target_macs), (get_cost(cost), target_cost)]
    ledgers = [_Ledger(graph, c, target) for c, target in budgets]
    candidates = {
        space.name: _Candidates(space, scores[space.name].gain, width_multiple, limit)
        for space in graph.growable
        if space.name in scores
        and (limit := _width_limit(space, max_widths, max_growth)) > space.width
    }
    widths = graph.widths

    def ratio(name: str) -> float:
        """Gain per unit of cost of the next step of a space; 0 if there is none."""
        count, gain = candidates[name].chunk(widths[name])
        price = ledgers[-1].marginal(widths, name, count)
        if gain <= 0:
            return 0.0
        return gain / price if price > 0 else math.inf

    ratios = {name: ratio(name) for name in candidates}
    while ratios:
        best = max(ratios, key=ratios.__getitem__)
        count, gain = candidates[best].chunk(widths[best])
        prices = [ledger.marginal(widths, best, count) for ledger in ledgers]
        if gain <= 0 or not all(
            ledger.spent + price <= ledger.target
            for ledger, price in zip(ledgers, prices, strict=True)
        ):
            # Marginal costs never fall, so what does not fit now never will.
            del ratios[best]
            continue
        candidates[best].take(count)
        widths[best] += count
        touched: set[str] = set()
        for ledger, price in zip(ledgers, prices, strict=True):
            ledger.spent += price
            touched |= ledger.neighbours(best)
        for name in touched & ratios.keys():
            ratios[name] = ratio(name)
    return SplitPlan(
        {name: sorted(c.taken) for name, c in candidates.items() if c.taken}
    )


class _Candidates:
    """The neurons of one space in the order in which they will be split."""

    def __init__(
        self, space: ChannelSpace, gain: np.ndarray, multiple: int, limit: int
    ) -> None:
        if len(gain) != space.width:
            raise PlanError(
                f"The scores hold {len(gain)} neurons for space {space.name!r}, but "
                f"it has {space.width}. Run estimate() on this model."
            )
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
        """Splits the next `count` neurons."""
        start = len(self.taken)
        self.taken += self._order[start : start + count]


class _Ledger:
    """What one cost has spent and may spend."""

    def __init__(self, graph: ChannelGraph, cost: Cost, target: float) -> None:
        self.spent = float(cost(graph, graph.widths))
        self.target = target
        name = getattr(cost, "name", getattr(cost, "__name__", "cost"))
        if self.spent > target:
            raise BudgetError(
                f"The model's {name} are {self.spent:g} already; got a target of "
                f"{target:g}. Raise the target, or start from a smaller model."
            )
        self._graph = graph
        self._cost = cost
        self._names = set(graph.widths)
        self._terms: dict[str, list] = {}
        self._neighbours: dict[str, set[str]] = {}
        if isinstance(cost, TermCost):
            self._index(cost)

    def _index(self, cost: TermCost) -> None:
        for term in cost.terms(self._graph):
            spaces = {block.space for layout in term.layouts for block in layout}
            for space in spaces:
                self._terms.setdefault(space, []).append(term)
                self._neighbours.setdefault(space, set()).update(spaces)

    def neighbours(self, space: str) -> set[str]:
        """Spaces whose marginal cost changes when this one grows, itself included."""
        if isinstance(self._cost, TermCost):
            return self._neighbours.get(space, {space})
        return self._names

    def marginal(self, widths: Mapping[str, int], space: str, count: int) -> float:
        """What `count` more neurons cost."""
        grown = {**widths, space: widths[space] + count}
        if not isinstance(self._cost, TermCost):
            return self._cost(self._graph, grown) - self._cost(self._graph, widths)
        difference = 0
        for term in self._terms.get(space, []):
            before = math.prod(size(layout, widths) for layout in term.layouts)
            after = math.prod(size(layout, grown) for layout in term.layouts)
            difference += term.factor * (after - before)
        return difference


def _width_limit(
    space: ChannelSpace, max_widths: int | Mapping[str, int] | None, growth: float
) -> int:
    limit = math.floor(space.width * growth)
    if isinstance(max_widths, Mapping):
        return min(limit, max_widths.get(space.name, limit))
    return limit if max_widths is None else min(limit, max_widths)
