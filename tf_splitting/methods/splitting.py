"""Splitting steepest descent: split the neurons that buy the most loss per MAC.

Source: Wang et al., "Energy-Aware Neural Architecture Optimization with Fast Splitting
Steepest Descent", arXiv 1910.03103.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tf_splitting.estimation import DEFAULT_STEP, estimate_sample
from tf_splitting.estimators import Estimator, Rayleigh
from tf_splitting.methods.base import Proposal, Round
from tf_splitting.selection import select


@dataclass(frozen=True)
class Splitting:
    """Estimate splitting indices, select greedily, split along the eigenvectors.

    Args:
        estimator: how indices and directions are found.
        epsilon: relative step of the estimate's finite difference.
        jit_compile: compile the estimate with XLA.
    """

    estimator: Estimator = field(default_factory=Rayleigh)
    epsilon: float = DEFAULT_STEP
    jit_compile: bool = False

    def propose(self, context: Round) -> Proposal:
        """Chooses the neurons with the highest gain per marginal cost."""
        scores = estimate_sample(
            context.model,
            context.graph,
            context.sample,
            estimator=self.estimator,
            loss=None,
            epsilon=self.epsilon,
            seed=context.seed,
            jit_compile=self.jit_compile,
            verbose=context.verbose,
        )
        plan = select(scores, context.graph, **context.selection)
        return Proposal(plan, scores)
