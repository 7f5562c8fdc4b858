"""Signed splitting: off-springs of which some take a negative share.

An off-spring with share w of its neuron's outgoing weight that moves by d along a
direction of splitting index λ changes the loss by `½ w d² λ`; shares sum to 1, and so
do the moves, weighted by shares, to 0. Where no share may be below -c and no step above
d, the best off-springs of a neuron with lowest index l and highest h are, of
`½ d²`:

    2: equal shares along the lowest               -l
       -c that moves, 1 + c, along the highest     c / (1 + c) h
    3: two that move apart, -c that stays          -(1 + c) l
       two of -c that move apart, one that stays   2 c h
    4: two that move apart along the lowest, two
       of -c along the highest                     -(1 + 2 c) l + 2 c h

So a neuron that is stable under equal splits, all its eigenvalues above zero, can still
gain. Each neuron is split in whichever way gains most per cost.

Source: Wu et al., "Steepest Descent Neural Architecture Optimization: Escaping Local
Optimum with Signed Neural Splitting", arXiv 2003.10392.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from tf_splitting.estimating import (
    DEFAULT_STEP,
    Estimator,
    Rayleigh,
    SpaceScores,
    check_settings,
)
from tf_splitting.methods.base import Proposal, Round
from tf_splitting.methods.splitting import Splitting
from tf_splitting.selecting import Moves, SplitPlan, select
from tf_splitting.support import number, whole

_LOWEST, _HIGHEST = 0, 1
MOST_OFFSPRINGS = 4


class Way(NamedTuple):
    """A way to split a neuron; its neuron takes what shares and moves leave.

    Attributes:
        lowest, highest: by which the two splitting indices count, of `½ d²`.
        shares, steps, along: of the new neurons, as in `Moves`; steps in units of d.
    """

    lowest: float
    highest: float
    shares: tuple[float, ...]
    steps: tuple[float, ...]
    along: tuple[int, ...]


def ways(negative: float) -> dict[int, list[Way]]:
    """The ways to split, by the number of new neurons.

    Args:
        negative: c, the size of a negative share.
    """
    c = negative
    apart, two = (1.0, -1.0), (_HIGHEST, _HIGHEST)
    return {
        1: [
            Way(-1.0, 0.0, (0.5,), (1.0,), (_LOWEST,)),
            Way(0.0, c / (1 + c), (-c,), (1.0,), (_HIGHEST,)),
        ],
        2: [
            Way(-1 - c, 0.0, ((1 + c) / 2, -c), (1.0, 0.0), (_LOWEST,) * 2),
            Way(0.0, 2 * c, (-c, -c), apart, two),
        ],
        3: [
            Way(-1 - 2 * c, 2 * c, (0.5 + c, -c, -c), (1.0, *apart), (_LOWEST, *two)),
        ],
    }


@dataclass(frozen=True)
class Signed:
    """Split neurons into two, three or four, with shares that may be below zero.

    The plan says shares and steps itself, whatever the job's `epsilon` is, if that is
    "fresh", the default; a number multiplies its steps.

    Args:
        negative: c, the size of a negative share.
        step: d, by which an off-spring moves at most, relative to the norm of what
            moves.
        offsprings: that a neuron may have, itself included: 2, 3 or 4.
        estimator: how indices and directions are found.
        examples: of the sample, at most.

    Raises:
        SplittingError: an argument is out of range.

    Example:
        >>> grown = tf_splitting.grow(model, ds, target_macs=2e8, method="signed")
    """

    negative: float = 0.5
    step: float = 0.3
    offsprings: int = MOST_OFFSPRINGS
    estimator: Estimator = field(default_factory=Rayleigh)
    examples: int = 2048

    def __post_init__(self) -> None:
        number("negative", self.negative, above=0)
        number("step", self.step, above=0)
        whole("offsprings", self.offsprings, at_least=2, at_most=MOST_OFFSPRINGS)
        check_settings(self.estimator, DEFAULT_STEP, False)
        whole("examples", self.examples, at_least=1)

    def propose(self, context: Round) -> Proposal:
        """Chooses the neurons with the highest gain per marginal cost."""
        estimation, one_way = Splitting(self.estimator).estimation(context)
        cost = 2 * one_way
        affordable = min(self.examples, context.affordable(cost))
        sample = context.sample.part(0, int(affordable))
        low = estimation.scores(sample, context.seed)
        high = estimation.scores(sample, context.seed, highest=True)
        spaces, best = {}, {}
        for space in low:
            spaces[space], best[space] = self._scored(low[space], high[space])
        scores = replace(low, spaces=spaces, epsilon=self.step, estimator=repr(self))
        plan = select(scores, context.graph, **context.selection)
        moves = {
            space: self._moves(indices, best[space])
            for space, indices in plan.splits.items()
        }
        plan = SplitPlan(plan.splits, made_for=plan.made_for, moves=moves)
        return Proposal(plan, scores, cost * sample.size)

    def _scored(
        self, low: SpaceScores, high: SpaceScores
    ) -> tuple[SpaceScores, dict[int, list[Way]]]:
        """Scores of a space, and each neuron's best way by number of new neurons."""
        gains, best = [], {}
        for count, those in ways(self.negative).items():
            if count == self.offsprings:
                break
            each = np.array(
                [
                    way.lowest * low.splitting_index
                    + way.highest * high.splitting_index
                    for way in those
                ]
            )
            best[count] = [those[k] for k in each.argmax(0)]
            gains.append(0.5 * self.step**2 * each.max(0))
        # A neuron's first child is chosen before its second. What that adds counts for
        # no more than the first, so that the order of gains is that of children.
        added = np.diff(gains, axis=0, prepend=0.0)
        scores = replace(
            low,
            gain=np.minimum.accumulate(added, axis=0).reshape(-1),
            parents=np.tile(np.arange(len(low.splitting_index)), len(gains)),
            residual=None,
            standard_error=None,
            matrices=None,
            second_incoming=high.incoming,
            second_outgoing=high.outgoing,
        )
        return scores, best

    def _moves(self, parents: list[int], best: dict[int, list[Way]]) -> Moves:
        """What becomes of a space's new neurons, those of one parent side by side."""
        chosen = [best[count][i] for i, count in Counter(parents).items()]
        return Moves(
            [share for way in chosen for share in way.shares],
            [self.step * step for way in chosen for step in way.steps],
            [direction for way in chosen for direction in way.along],
        )
