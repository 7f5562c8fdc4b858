"""Signed splitting: copies of which one takes a negative share.

A neuron splits into two copies with shares w and 1 - w of its outgoing weight, which
move apart by d along a direction v: the loss changes by `½ w (1 - w) d² vᵀSv`. Equal
shares gain along the eigenvector of a negative eigenvalue. A neuron whose eigenvalues
are all positive is stable under these; with w = -c it gains all the same, along the
largest. Each neuron is split in whichever way gains more.

Source: Wu et al., "Steepest Descent Neural Architecture Optimization: Escaping Local
Optimum with Signed Neural Splitting", arXiv 2003.10392, for two off-springs. Its three
and four move along both eigenvectors at once, which plans have no place for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

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
from tf_splitting.tracing import Role
from tf_splitting.tracing import layout as lay


@dataclass(frozen=True)
class Signed:
    """Split neurons into copies with equal shares or with one below zero.

    The plan says shares and steps itself, whatever the job's `epsilon` is, if that is
    "fresh", the default; a number multiplies its steps.

    Args:
        negative: c, the size of the negative share.
        step: by which equal copies move to either side, relative to the norm of what
            moves.
        estimator: how indices and directions are found.
        examples: of the sample, at most.

    Raises:
        SplittingError: an argument is out of range.

    Example:
        >>> grown = tf_splitting.grow(model, ds, target_macs=2e8, method="signed")
    """

    negative: float = 0.5
    step: float = 0.3
    estimator: Estimator = field(default_factory=Rayleigh)
    examples: int = 2048

    def __post_init__(self) -> None:
        number("negative", self.negative, above=0)
        number("step", self.step, above=0)
        check_settings(self.estimator, DEFAULT_STEP, False)
        whole("examples", self.examples, at_least=1)

    def propose(self, context: Round) -> Proposal:
        """Chooses the neurons with the highest gain per marginal cost."""
        estimation, one_way = Splitting(self.estimator).estimation(context)
        cost = 2 * one_way
        affordable = min(self.examples, context.affordable(cost))
        sample = context.sample.part(0, int(affordable))
        lowest = estimation.scores(sample, context.seed)
        highest = estimation.scores(sample, context.seed, highest=True)
        chosen, negative = {}, {}
        for space in lowest:
            chosen[space], negative[space] = self._better(
                lowest[space], highest[space], context, space
            )
        scores = replace(lowest, spaces=chosen, epsilon=self.step)
        plan = select(scores, context.graph, **context.selection)
        moves = self._moves(plan.splits, negative)
        plan = SplitPlan(plan.splits, made_for=plan.made_for, moves=moves)
        return Proposal(plan, scores, cost * sample.size)

    def _better(
        self, low: SpaceScores, high: SpaceScores, context: Round, space: str
    ) -> tuple[SpaceScores, np.ndarray]:
        """Scores of the better way for each neuron, and where it is the signed one."""
        equal = -0.5 * self.step**2 * low.splitting_index
        factor = 2 * self.negative * (1 + self.negative)
        signed = factor * self.step**2 * high.splitting_index
        negative = signed > equal

        def chosen(
            ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray], role: Role
        ) -> dict[str, np.ndarray]:
            found = {}
            for name, array in ours.items():
                axis, layout = context.graph.weight(name).layout(role)
                own = tuple(block for block in layout if block.space == space)
                where = lay.spread(own, {space: np.arange(len(negative))})
                shape = [1] * array.ndim
                shape[axis] = -1
                found[name] = np.where(
                    negative[where].reshape(shape), theirs[name], array
                )
            return found

        return (
            replace(
                low,
                splitting_index=np.where(
                    negative, high.splitting_index, low.splitting_index
                ),
                gain=np.where(negative, signed, equal),
                incoming=chosen(low.incoming, high.incoming, "produced"),
                outgoing=chosen(low.outgoing, high.outgoing, "consumed"),
                residual=None,
                standard_error=None,
                matrices=None,
            ),
            negative,
        )

    def _moves(
        self, splits: Mapping[str, list[int]], negative: Mapping[str, np.ndarray]
    ) -> dict[str, Moves]:
        return {
            space: Moves(
                [-self.negative if negative[space][i] else 0.5 for i in indices],
                [2 * self.step] * len(indices),
            )
            for space, indices in splits.items()
        }
