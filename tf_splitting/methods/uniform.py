"""Uniform growth: every space by the same ratio, random neurons, random directions.

The baseline that splitting has to beat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tf_splitting.estimating import SpaceScores
from tf_splitting.methods.base import Proposal, Round
from tf_splitting.selecting import select


@dataclass(frozen=True)
class Uniform:
    """Split random neurons of every space, as evenly as the budget allows."""

    def propose(self, context: Round) -> Proposal:
        """Fills the budget space by space, the least grown one first."""
        generator = np.random.default_rng(context.seed)
        # Gains that fall with what the space has grown by make the greedy selection,
        # at unit price, keep all spaces level.
        scores = {}
        for space in context.graph.growable:
            parents = np.concatenate(
                [generator.permutation(space.width) for _ in range(context.children)]
            )
            grown = (np.arange(len(parents)) + generator.random()) / space.width
            level = 1 / (1 + grown)
            nothing: dict[str, np.ndarray] = {}
            index = np.zeros(space.width)
            scores[space.name] = SpaceScores(
                index, level, nothing, nothing, parents=parents
            )
        limits = {**context.selection, "cost": _neurons}
        return Proposal(select(scores, context.graph, **limits), None)


def _neurons(graph: object, widths: dict[str, int]) -> float:
    return float(sum(widths.values()))
