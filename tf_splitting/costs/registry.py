"""Costs by name."""

from __future__ import annotations

from tf_splitting.costs.base import Cost, TermCost
from tf_splitting.costs.macs import MACS
from tf_splitting.costs.params import PARAMS
from tf_splitting.support import one_of

COSTS: dict[str, TermCost] = {cost.name: cost for cost in (MACS, PARAMS)}


def get_cost(cost: str | Cost) -> Cost:
    """A cost from its name, or the function itself.

    Raises:
        UnknownNameError: no cost has this name.
    """
    if callable(cost):
        return cost
    otherwise = " or a function cost(graph, widths) -> float"
    return COSTS[one_of("cost", cost, COSTS, otherwise)]
