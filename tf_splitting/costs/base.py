"""What a cost is: a function of the widths, best a sum of products of axis lengths.

A cost is a function `cost(graph, widths) -> float` that never falls when a width
grows. Sums of products (`TermCost`) also say which products a space takes part in, so
that a marginal cost only looks at those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tf_splitting.tracing import ChannelGraph, Term

Cost = Callable[[ChannelGraph, Mapping[str, int]], float]


def total(terms: tuple[Term, ...], widths: Mapping[str, int]) -> int:
    """Sum of the products at these widths."""
    return sum(term.value(widths) for term in terms)


class TermCost:
    """A cost that is a sum of products; knows which products a space is in."""

    def __init__(
        self, name: str, terms_of: Callable[[ChannelGraph], tuple[Term, ...]]
    ) -> None:
        self.name = name
        self._terms_of = terms_of

    def __repr__(self) -> str:
        return f"<TermCost {self.name!r}>"

    def __call__(self, graph: ChannelGraph, widths: Mapping[str, int]) -> float:
        return total(self._terms_of(graph), widths)

    def terms(self, graph: ChannelGraph) -> tuple[Term, ...]:
        """Its products, for selection to compute marginal costs from."""
        return self._terms_of(graph)
