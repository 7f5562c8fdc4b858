"""`select`: the neurons whose splits buy the most loss for the budget."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping

import numpy as np

from tf_splitting.costs import COSTS, Cost, get_cost
from tf_splitting.errors import BudgetError, PlanError
from tf_splitting.estimating import SpaceScores
from tf_splitting.selecting.ledger import Ledger
from tf_splitting.selecting.plan import SplitPlan
from tf_splitting.selecting.plan_text import check_graph
from tf_splitting.selecting.steps_up import plan_of, steps_up
from tf_splitting.support import instance, number, whole
from tf_splitting.tracing import ChannelGraph


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
    choice. Every candidate is taken at most once, and only if its gain is positive:
    each neuron, unless the scores say otherwise (`SpaceScores.parents`).

    Args:
        scores: gains by space, from `estimate`.
        graph: the model they belong to.
        target_macs: multiply-accumulates that the grown model may have at most.
        cost: what a gain is divided by: `"macs"`, `"params"`, or a function
            `cost(graph, widths) -> float` that never falls when a width grows.
        target_cost: what the grown model may cost at most, in the units of `cost`.
        width_multiple: spaces grow to multiples of this only.
        max_widths: largest width of every space, or of spaces by name.
        max_growth: largest ratio of a space's new width to its old, above 1; where
            every neuron is a candidate once, more than 2 is as good as 2.

    Returns:
        A `SplitPlan`, empty if nothing gains or fits.

    Raises:
        BudgetError: the model has more MACs, or costs more, than the targets.
        PlanError: the scores do not fit the graph; an argument is out of range.
        UnknownNameError: no cost has this name.
        ModelError: the MACs of the model are not known.

    Example:
        >>> plan = tf_splitting.select(scores, graph, target_macs=1.5 * macs)
        >>> print(plan)

    Source: Wang et al., arXiv 1910.03103, section 3.
    """
    check_graph(graph)
    expected = "a mapping from space names to their scores"
    hint = "Pass what estimate() returned."
    instance("scores", scores, Mapping, expected, hint, error=PlanError)
    for name in scores:
        graph.space(name)
    limits = check_limits(graph, width_multiple, max_widths, max_growth)
    budgets: list[tuple[Cost, float]] = [
        (COSTS["macs"], _number("target_macs", target_macs)),
        (get_cost(cost), _number("target_cost", target_cost)),
    ]
    ledgers = [Ledger(graph, c, target) for c, target in budgets]
    for ledger in ledgers:
        if ledger.spent > ledger.target:
            raise BudgetError(
                f"The model's {ledger.name} are {ledger.spent:g} already; got a target "
                f"of {ledger.target:g}. Raise the target, or start from a smaller "
                "model."
            )
    candidates = steps_up(scores, graph, limits, width_multiple)
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
    return plan_of(candidates, graph)


def check_limits(
    graph: ChannelGraph,
    width_multiple: int,
    max_widths: int | Mapping[str, int] | None,
    max_growth: float,
) -> dict[str, int]:
    """The largest width that every growable space may have, by name.

    Args:
        graph: the model.
        width_multiple, max_widths, max_growth: as for `select`.

    Raises:
        PlanError: one is out of range, or `max_widths` names a space that is none.
    """
    whole("width_multiple", width_multiple, at_least=1, error=PlanError)
    growth = number("max_growth", max_growth, above=1, finite=False, error=PlanError)
    limits = {
        s.name: math.floor(min(s.width * growth, sys.maxsize)) for s in graph.growable
    }
    if not isinstance(max_widths, Mapping):
        top = whole("max_widths", max_widths, at_least=1, or_none=True, error=PlanError)
        return {
            n: limit if top is None else min(limit, top) for n, limit in limits.items()
        }
    for name, width in max_widths.items():
        space = graph.space(name)
        whole(f"max_widths[{name!r}]", width, at_least=1, error=PlanError)
        limits[space.name] = min(limits.get(space.name, width), width)
    return limits


def _number(name: str, value: float) -> float:
    return number(name, value, finite=False, error=PlanError)


def gains_of(plan: SplitPlan, scores: Mapping[str, SpaceScores]) -> dict[str, float]:
    """Gains of what a plan takes, the best candidates of each parent, by space."""
    gains = {}
    for space, indices in plan.splits.items():
        gain, parents = scores[space].gain, scores[space].parents
        parents = np.arange(len(gain)) if parents is None else parents
        if indices:
            gains[space] = sum(
                float(np.sort(gain[parents == parent])[::-1][:count].sum())
                for parent, count in Counter(indices).items()
            )
    return gains
