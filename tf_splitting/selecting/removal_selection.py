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
from tf_splitting.selecting.steps_down import StepsDown, check_floors, costs_in_order
from tf_splitting.support import instance, number
from tf_splitting.tracing import ChannelGraph


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
        min_widths: smallest width of every space, or of spaces by name; two at least.
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
    floors = check_floors(graph, width_multiple, min_widths, max_shrinkage)
    targets: list[tuple[Cost, float]] = [
        (COSTS["macs"], _number("target_macs", target_macs)),
        (get_cost(cost), _number("target_cost", target_cost)),
    ]
    ledgers = [Ledger(graph, c, target) for c, target in targets]
    order = costs_in_order(scores, graph)
    steps = StepsDown(graph, ledgers, order, floors, width_multiple)
    _shrink(steps, graph)
    steps.restore()
    return steps.plan()


def losses_of(plan: RemovalPlan, scores: Mapping[str, np.ndarray]) -> dict[str, float]:
    """What the removals of a plan cost, by the spaces that get narrower."""
    return {
        space: float(scores[space][indices].sum())
        for space, indices in plan.removals.items()
        if indices
    }


# Compares as worse than any step.
_NOTHING = (2, math.inf)


def _shrink(steps: StepsDown, graph: ChannelGraph) -> None:
    """Removes neurons until the targets are met.

    Raises:
        BudgetError: nothing is left that may go.
    """

    def ratio(name: str) -> tuple[int, float]:
        """Cost per what is freed, to compare; what frees nothing alone comes last."""
        count, loss = steps.chunk(name)
        if not count:
            return _NOTHING
        freed = steps.freed(name, count)
        return (0, loss / freed) if freed > 0 else (1, loss)

    ratios = {name: ratio(name) for name in steps.removed}
    while not steps.met:
        best = min(ratios, key=ratios.__getitem__, default="")
        if ratios.get(best, _NOTHING) == _NOTHING:
            raise _refusal(steps, graph)
        for name in steps.take(best) & ratios.keys():
            ratios[name] = ratio(name)


def _refusal(steps: StepsDown, graph: ChannelGraph) -> BudgetError:
    missed = [ledger for ledger in steps.ledgers if ledger.spent > ledger.target]
    what = " and ".join(
        f"{ledger.name} of {ledger.spent:g} where {ledger.target:g} were asked for"
        for ledger in missed
    )
    return BudgetError(
        f"The targets cannot be met: with all that may go removed, model "
        f"{graph.name!r} has {what}. Raise the targets, or lower min_widths or raise "
        "max_shrinkage."
    )


def _number(name: str, value: float) -> float:
    return number(name, value, finite=False, error=PlanError)
