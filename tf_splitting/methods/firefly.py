"""Firefly: copies and new neurons, side by side in one selection.

Both ways to grow are measured at the same relative step ε: a copy by its splitting
index (`½ ε² |λ|`, where λ is below zero), a new neuron by the gradient G at its zero
outgoing weights, moved against it by ε of the norm of its parent's (`ε |b| |G|`). What
buys most per cost is taken, of either kind, and made as it was measured: copies apart
by ε, new neurons with outgoing weights zero.

Source: Wu et al., "Firefly Neural Architecture Descent: a General Approach for Growing
Neural Networks", arXiv 2102.08574. There new and split neurons are trained together for
a few steps and then chosen by their gradients; here the directions of copies are
eigenvectors, and new neurons are turned by power iteration (`gradmax`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from tf_splitting.estimating import SplittingScores
from tf_splitting.methods.base import Proposal, Round
from tf_splitting.methods.gradmax import ASCENT_COST, ascending
from tf_splitting.methods.scoring import new_gains, score_candidates
from tf_splitting.methods.splitting import Splitting
from tf_splitting.selecting import Moves, SplitPlan, select
from tf_splitting.support import number, whole
from tf_splitting.tracing import Neurons


@dataclass(frozen=True)
class Firefly:
    """Choose among copies along splitting directions and fresh neurons.

    The plan says itself which is which, and by how much copies move.

    Args:
        step: ε, relative to the norm of what moves.
        share: new neurons in every space, as a share of those that `max_growth` lets it
            grow by.
        passes: of power iteration for new neurons' incoming weights.
        examples: of the sample, at most.

    Raises:
        SplittingError: an argument is out of range.

    Example:
        >>> grown = tf_splitting.grow(model, ds, target_macs=2e8, method="firefly")
    """

    fresh_only: ClassVar[bool] = True

    step: float = 0.3
    share: float = 1.0
    passes: int = 1
    examples: int = 2048

    def __post_init__(self) -> None:
        number("step", self.step, above=0)
        number("share", self.share, above=0)
        whole("passes", self.passes, at_least=1)
        whole("examples", self.examples, at_least=1)

    def propose(self, context: Round) -> Proposal:
        """Chooses copies and new neurons with the highest gain per marginal cost.

        Raises:
            SplittingError: neurons are copied only.
        """
        # Either kind may take half of the compute.
        context = replace(context, compute=context.compute / 2)
        fresh, fresh_cost = score_candidates(
            context,
            new_gains("squares"),
            method="firefly",
            told=repr(self),
            share=self.share,
            examples=self.examples,
            improve=ascending(self.passes),
            improve_cost=self.passes * ASCENT_COST,
        )
        # Its sample does not grow: the plan to settle is another.
        copying = Splitting(first_sample=self.examples)
        scores, copies_cost = copying.scores(context)
        joint = self._joint(context, scores, fresh)
        plan = select(joint, context.graph, **context.selection)
        plan = self._told(plan, {name: len(s.gain) for name, s in fresh.items()})
        return Proposal(plan, joint, fresh_cost + copies_cost)

    def _joint(
        self, context: Round, copies: SplittingScores, fresh: SplittingScores
    ) -> SplittingScores:
        """Scores of new neurons, and behind them of copies.

        So that the numbers of new neurons stay those that they were scored under.
        """
        neurons = Neurons(context.graph)
        squares = sum(
            np.square(norm)
            for slot, norm in zip(neurons.slots, neurons.norms(), strict=True)
            if slot.role == "consumed"
        )
        outgoing = np.sqrt(squares)
        spaces = {}
        for space, own in copies.items():
            new = fresh[space]
            parents = np.asarray(new.parents)
            along = neurons.of(space, outgoing)[parents] * np.sqrt(new.gain)
            spaces[space] = replace(
                own,
                gain=np.concatenate(
                    [self.step * along, -0.5 * self.step**2 * own.splitting_index]
                ),
                parents=np.concatenate([parents, np.arange(len(own.splitting_index))]),
                fresh=new.fresh,
                residual=None,
                standard_error=None,
                matrices=None,
            )
        return replace(copies, spaces=spaces, epsilon=self.step, estimator=repr(self))

    def _told(self, plan: SplitPlan, new: Mapping[str, int]) -> SplitPlan:
        """The plan, told which of its neurons are copies.

        Args:
            plan: as it was selected.
            new: how many new neurons were scored in each space; copies come behind.
        """
        moves = {}
        for space, numbers in plan.candidates.items():
            shares = [0.0 if number < new[space] else 0.5 for number in numbers]
            moves[space] = Moves(shares, [self.step] * len(numbers))
        return SplitPlan(
            plan.splits,
            made_for=plan.made_for,
            candidates=plan.candidates,
            moves=moves,
        )
