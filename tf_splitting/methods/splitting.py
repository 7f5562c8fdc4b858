"""Splitting steepest descent: split the neurons that buy the most loss per MAC.

Directions that a small sample seems to reward are partly fitted to its noise, so the
sample grows until the plan no longer changes.

Source: Wang et al., "Energy-Aware Neural Architecture Optimization with Fast Splitting
Steepest Descent", arXiv 1910.03103.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

from tf_splitting.costs import count_macs
from tf_splitting.estimating import (
    DEFAULT_STEP,
    Estimation,
    Estimator,
    Rayleigh,
    SplittingScores,
    check_settings,
)
from tf_splitting.methods.base import Proposal, Round
from tf_splitting.selecting import SplitPlan, select
from tf_splitting.support import number, truth, whole

# What a pass of the estimator costs, in training steps over the same images: the mean
# of both sides in docs/estimates.md, "What a product costs".
PASS_COST = 0.83


@dataclass(frozen=True)
class Splitting:
    """Estimate splitting indices, select greedily, split along the eigenvectors.

    Args:
        estimator: how indices and directions are found.
        epsilon: relative step that gains are predicted for, as `estimate` takes it.
        jit_compile: compile the estimate with XLA.
        first_sample: examples to begin with. They double until the plan is settled or
            the round's sample is used up.
        agreement: share of the plan's neurons that the plan of half as many examples
            must have in common with it for it to count as settled; above 1, all of the
            round's sample is used.
        held_out: take as a neuron's gain what the direction found on one half of the
            examples gains on the other half.

    Raises:
        SplittingError: an argument is out of range.
    """

    estimator: Estimator = field(default_factory=Rayleigh)
    epsilon: float = DEFAULT_STEP
    jit_compile: bool = False
    first_sample: int = 1024
    agreement: float = 0.95
    held_out: bool = False

    def __post_init__(self) -> None:
        check_settings(self.estimator, self.epsilon, self.jit_compile)
        whole("first_sample", self.first_sample, at_least=1)
        number("agreement", self.agreement, at_least=0)
        truth("held_out", self.held_out)

    def __repr__(self) -> str:
        # Jobs are told apart by this text, and some were saved without the setting.
        shown = [f.name for f in fields(self) if f.name != "held_out" or self.held_out]
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"Splitting({values})"

    def scores(self, context: Round) -> tuple[SplittingScores, float]:
        """Scores on the first sample alone, and the compute that they took."""
        estimation, cost = self.estimation(context)
        size = self._first(context, cost)
        scores = estimation.scores(
            context.sample.part(0, size), context.seed, held_out=self.held_out
        )
        return scores, cost * scores.examples

    def propose(self, context: Round) -> Proposal:
        """Chooses the neurons with the highest gain per marginal cost."""
        sample = context.sample
        estimation, cost = self.estimation(context)
        affordable = context.affordable(cost)
        size = self._first(context, cost)
        before, used = None, 0
        while True:
            scores = estimation.scores(
                sample.part(0, size), context.seed, held_out=self.held_out
            )
            used += size
            if context.children > 1:
                scores = scores.repeated(context.children)
            plan = select(scores, context.graph, **context.selection)
            settled = False
            if before is not None:
                alike = agreement(before, plan)
                settled = alike >= self.agreement
                if context.verbose:
                    print(f"{alike:.0%} of the plan stays with twice the examples")
            larger = min(2 * size, sample.size)
            if settled or size == sample.size or used + larger > affordable:
                return Proposal(plan, scores, cost * used)
            before, size = plan, larger

    def estimation(self, context: Round) -> tuple[Estimation, float]:
        """What estimates, and its cost for one example."""
        estimation = Estimation(
            context.model,
            context.graph,
            context.sample,
            estimator=self.estimator,
            epsilon=self.epsilon,
            jit_compile=self.jit_compile,
            verbose=context.verbose,
        )
        # One pass more measures what the directions are worth.
        passes = estimation.passes + 1
        return estimation, PASS_COST * count_macs(context.model) * passes

    def _first(self, context: Round, cost: float) -> int:
        """Examples of the first sample."""
        affordable = context.affordable(cost)
        return int(min(self.first_sample, context.sample.size, affordable))


def agreement(one: SplitPlan, other: SplitPlan) -> float:
    """Share of the neurons of the larger plan that both plans split."""
    counts = [
        Counter((space, i) for space, indices in plan.splits.items() for i in indices)
        for plan in (one, other)
    ]
    longest = max(len(one), len(other))
    return (counts[0] & counts[1]).total() / longest if longest else 1.0
