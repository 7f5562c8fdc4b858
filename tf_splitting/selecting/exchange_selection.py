"""`select_exchanges`: what to remove for what gains more."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from typing import Any

from tf_splitting.costs import COSTS, Cost, get_cost
from tf_splitting.errors import BudgetError, PlanError
from tf_splitting.estimating import SpaceScores
from tf_splitting.selecting.exchange_plan import ExchangePlan
from tf_splitting.selecting.ledger import Ledger
from tf_splitting.selecting.plan_text import check_graph
from tf_splitting.selecting.selection import check_limits
from tf_splitting.selecting.steps_down import StepsDown, check_floors, costs_in_order
from tf_splitting.selecting.steps_up import StepsUp, plan_of, steps_up
from tf_splitting.support import instance, number
from tf_splitting.tracing import ChannelGraph

# Of the model's cost, that one plan may move.
DEFAULT_MOVED = 0.25


def select_exchanges(
    losses: Mapping[str, Any],
    gains: Mapping[str, SpaceScores],
    graph: ChannelGraph,
    *,
    target_macs: float | None = None,
    cost: str | Cost = "macs",
    target_cost: float | None = None,
    moved: float = DEFAULT_MOVED,
    width_multiple: int = 1,
    min_widths: int | Mapping[str, int] = 1,
    max_widths: int | Mapping[str, int] | None = None,
    max_growth: float = 2.0,
    max_shrinkage: float = 2.0,
) -> ExchangePlan:
    """Chooses neurons to remove and neurons to split, the budget staying as it is.

    The split that gains most per cost is paid for by the removals that lose least per
    cost. They are made if it gains more than they lose, together with what else fits in
    what they free; then the next. Costs are recomputed after every choice. A loss below
    zero counts as none: it is the noise of a sample.

    Args:
        losses: what removals lose by space, from `estimate_removals`.
        gains: what splits gain by space, from `estimate`, in the same units: both
            changes of the loss, gains at the step that `estimate` was told.
        graph: the model they belong to.
        target_macs: multiply-accumulates that the model may have at most; default: as
            many as it has.
        cost: what gains and losses are divided by: `"macs"`, `"params"`, or a function
            `cost(graph, widths) -> float` that never falls when a width grows.
        target_cost: what it may cost at most, in the units of `cost`; default: what it
            costs.
        moved: share of the cost that removals may free, at most.
        width_multiple: spaces that change end at multiples of this only.
        min_widths: smallest width of every space, or of spaces by name; two at least.
        max_widths: largest width of every space, or of spaces by name.
        max_growth: largest ratio of a space's new width to its old, above 1.
        max_shrinkage: largest ratio of a space's old width to its new, above 1: what
            several neurons lose together is more than the sum of what each does.

    Returns:
        An `ExchangePlan`, empty if no exchange pays.

    Raises:
        BudgetError: the model has more MACs, or costs more, than the targets.
        PlanError: scores do not fit the graph; an argument is out of range.
        UnknownNameError: no cost has this name.
        ModelError: the MACs of the model are not known.

    Example:
        >>> losses = tf_splitting.estimate_removals(model, (x, y))
        >>> gains = tf_splitting.estimate(model, (x, y), epsilon=0.3)
        >>> plan = tf_splitting.select_exchanges(losses, gains, graph)
    """
    check_graph(graph)
    for name, given in (("losses", losses), ("gains", gains)):
        expected = "a mapping from space names to scores"
        hint = "Pass what estimate_removals() and estimate() returned."
        instance(name, given, Mapping, expected, hint, error=PlanError)
        for space in given:
            graph.space(space)
    number("moved", moved, above=0, at_most=1, error=PlanError)
    limits = check_limits(graph, width_multiple, max_widths, max_growth)
    floors = check_floors(graph, width_multiple, min_widths, max_shrinkage)
    ledgers = [
        _ledger(graph, COSTS["macs"], "target_macs", target_macs),
        _ledger(graph, get_cost(cost), "target_cost", target_cost),
    ]
    order = {
        name: [(neuron, max(loss, 0.0)) for neuron, loss in costs]
        for name, costs in costs_in_order(losses, graph).items()
    }
    down = StepsDown(graph, ledgers, order, floors, width_multiple)
    up = steps_up(gains, graph, limits, width_multiple)
    _Exchange(down, up, moved * ledgers[-1].spent).run()
    down.restore(unpaid=True)
    return ExchangePlan(down.plan(), plan_of(up, graph))


def _ledger(graph: ChannelGraph, cost: Cost, name: str, target: float | None) -> Ledger:
    """A cost that stays within a target, or as it is."""
    ledger = Ledger(graph, cost, math.inf)
    if target is None:
        target = ledger.spent
    ledger.target = number(name, target, finite=False, error=PlanError)
    if ledger.spent > ledger.target:
        raise BudgetError(
            f"The model's {ledger.name} are {ledger.spent:g}; got a target of "
            f"{ledger.target:g}. Raise the target, or remove neurons first."
        )
    return ledger


class _Exchange:
    """Takes the splits that pay, and the removals that pay for them.

    Args:
        down, up: steps of each space.
        most: cost that may be freed.
    """

    def __init__(self, down: StepsDown, up: Mapping[str, StepsUp], most: float) -> None:
        self._down = down
        self._up = up
        self._left = most

    def run(self) -> None:
        """Exchanges until no exchange pays."""
        self._fill()
        closed: set[str] = set()
        while name := self._best(closed):
            if not self._pays(name):
                closed.add(name)

    def _pays(self, name: str) -> bool:
        """Makes room for a space's next step, and fills it; undone if it does not pay.

        What is freed may be much more than the step takes. So it is what all that fits
        gains that is compared with what is lost.
        """
        count, _ = self._up[name].chunk(self._down.widths[name])
        removals, lost, freed = 0, 0.0, 0.0
        while not self._down.fits(name, count):
            space, loss, price = self._cheapest(name)
            if not space or freed + price > self._left:
                break
            self._down.take(space)
            removals, lost, freed = removals + 1, lost + loss, freed + price
        splits: list[tuple[str, int]] = []
        gained = 0.0
        if self._down.fits(name, count):
            splits, gained = self._fill(first=name)
        if gained > lost:
            self._left -= freed
            return True
        for space, count in reversed(splits):
            self._up[space].take_back(count)
            self._down.change(space, -count)
        self._down.take_back(removals)
        return False

    def _fill(self, first: str = "") -> tuple[list[tuple[str, int]], float]:
        """Takes splits as long as they fit, the best per cost first.

        Args:
            first: of which space one is taken before all others.

        Returns:
            Sizes of the steps by space, in their order, and their summed gain.
        """
        splits, gained, full = [], 0.0, set[str]()
        while name := first or self._best(full):
            first = ""
            count, gain = self._up[name].chunk(self._down.widths[name])
            if not self._down.fits(name, count):
                full.add(name)
                continue
            self._up[name].take(count)
            self._down.change(name, count)
            splits.append((name, count))
            gained += gain
        return splits, gained

    def _best(self, but: Container[str]) -> str:
        """The space whose next step gains most per cost; none if nothing gains."""
        rates = {name: self._rate(name) for name in self._up if name not in but}
        best = max(rates, key=lambda name: (rates[name], name), default="")
        return best if best and rates[best] > 0 else ""

    def _rate(self, name: str) -> float:
        """Gain per cost of a space's next step; 0 if there is none."""
        if self._down.removed.get(name):
            return 0.0
        count, gain = self._up[name].chunk(self._down.widths[name])
        if gain <= 0:
            return 0.0
        price = self._down.ledgers[-1].marginal(self._down.widths, name, count)
        return gain / price if price > 0 else math.inf

    def _cheapest(self, but: str) -> tuple[str, float, float]:
        """The removal that loses least per cost: its space, its loss, what it frees."""
        best, rate = ("", math.inf, 0.0), (math.inf, 0.0)
        for name in self._down.removed:
            count, loss = self._down.chunk(name)
            if not count or name == but or (name in self._up and self._up[name].taken):
                continue
            price = self._down.freed(name, count)
            # Of those that lose nothing, the one that frees most.
            if price > 0 and (loss / price, -price) < rate:
                best, rate = (name, loss, price), (loss / price, -price)
        return best
