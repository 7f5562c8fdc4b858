"""What a cost has come to while neurons are chosen, and what the next ones add."""

from __future__ import annotations

from collections.abc import Mapping

from tf_splitting.costs import Cost, TermCost
from tf_splitting.errors import PlanError
from tf_splitting.support import number
from tf_splitting.tracing import ChannelGraph, Term


class Ledger:
    """One cost of a graph at changing widths.

    Attributes:
        name: of the cost.
        spent: what the model costs at the widths chosen so far.
        target: what it may cost at most.
    """

    def __init__(self, graph: ChannelGraph, cost: Cost, target: float) -> None:
        self.name = getattr(cost, "name", getattr(cost, "__name__", "cost"))
        self.target = target
        self._graph = graph
        self._cost = cost
        self.spent = self.price(graph.widths)
        self._names = set(graph.widths)
        self._terms: dict[str, list[Term]] = {}
        self._neighbours: dict[str, set[str]] = {}
        if isinstance(cost, TermCost):
            self._index(cost)

    def _index(self, cost: TermCost) -> None:
        for term in cost.terms(self._graph):
            spaces = {block.space for layout in term.layouts for block in layout}
            for space in spaces:
                self._terms.setdefault(space, []).append(term)
                self._neighbours.setdefault(space, set()).update(spaces)

    def price(self, widths: Mapping[str, int]) -> float:
        """What the model costs at these widths.

        Raises:
            PlanError: the cost says no number.
        """
        cost = self._cost(self._graph, widths)
        return number("cost(graph, widths)", cost, finite=False, error=PlanError)

    def neighbours(self, space: str) -> set[str]:
        """Spaces whose marginal cost changes when this one does, itself included."""
        if isinstance(self._cost, TermCost):
            return self._neighbours.get(space, {space})
        return self._names

    def marginal(self, widths: Mapping[str, int], space: str, count: int) -> float:
        """What `count` more neurons cost; fewer, if it is negative."""
        changed = {**widths, space: widths[space] + count}
        if not isinstance(self._cost, TermCost):
            return self.price(changed) - self.price(widths)
        difference = 0
        for term in self._terms.get(space, []):
            difference += term.value(changed) - term.value(widths)
        return difference
