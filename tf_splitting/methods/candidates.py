"""Candidates: random fresh neurons in every space, taken where they gain most.

The splitting index says what a copy would gain, to second order. What a fresh neuron
gains is of first order: the gradient at its zero outgoing weights. So every space is
given random candidates, all at once, for their outgoing weights are zero and change
nothing; one backward pass over the sample scores them; the best per cost are added, as
they were scored. The sum of a candidate's gradient is in the norm that the optimizer
moves by: squares for plain descent, absolute values for methods that move every weight
alike, such as Adam.

Source: the score is that of GradMax (Evci et al., arXiv 2201.05125), whose incoming
weights maximize it; here they are random. Firefly (Wu et al., arXiv 2102.08574) chooses
among random new neurons by the same gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np

from tf_splitting.costs import count_macs
from tf_splitting.errors import SplittingError
from tf_splitting.estimating import (
    Norm,
    SpaceScores,
    SplittingScores,
    check_growable,
    in_float32,
    outgoing_gains,
)
from tf_splitting.methods.base import Proposal, Round
from tf_splitting.rebuilding import Splitting
from tf_splitting.selecting import SplitPlan, select
from tf_splitting.support import Bar, number, one_of, whole
from tf_splitting.tracing import trace
from tf_splitting.training import reestimate_batch_statistics

# What scoring costs, in training steps of the widened model over the same images.
PASS_COST = 0.7
_NORMS = ("auto", "absolute", "squares")


@dataclass(frozen=True)
class Candidates:
    """Score random fresh neurons of every space by one backward pass, add the best.

    Args:
        share: candidates in every space, as a share of those that `max_growth` lets it
            grow by.
        norm: of a candidate's gradient: "absolute" values or "squares", summed; "auto"
            takes squares for SGD and absolute values for every other optimizer.
        examples: of the sample, at most.

    Raises:
        SplittingError: an argument is out of range.

    Example:
        >>> method = tf_splitting.methods.Candidates(share=2.0)
        >>> grown = tf_splitting.grow(model, ds, target_macs=2e8, method=method)
    """

    share: float = 1.0
    norm: Literal["auto", "absolute", "squares"] = "auto"
    examples: int = 2048

    def __post_init__(self) -> None:
        number("share", self.share, above=0)
        one_of("norm", self.norm, _NORMS)
        whole("examples", self.examples, at_least=1)

    def propose(self, context: Round) -> Proposal:
        """Chooses the candidates with the highest gain per marginal cost.

        Raises:
            SplittingError: neurons are copied, not added fresh.
        """
        if not context.fresh:
            raise SplittingError(
                "The method 'candidates' scores fresh neurons; expected "
                "epsilon='fresh', the default. Copies are scored by 'splitting'."
            )
        check_growable(context.graph)
        parents = self._parents(context)
        numbers = {space: range(len(each)) for space, each in parents.items()}
        wide = Splitting(
            context.model,
            SplitPlan(parents, candidates=numbers),
            seed=context.seed,
            fresh=True,
            start=context.start,
            split_untrainable=context.split_untrainable,
        ).build(1.0)
        cost = PASS_COST * count_macs(wide)
        affordable = min(self.examples, context.affordable(cost), context.sample.size)
        sample = context.sample.part(0, int(affordable))
        # What a candidate is normalized by has to be its own.
        reestimate_batch_statistics(wide, sample)
        precise = in_float32(wide)
        bar = Bar("scoring", per_pass=len(sample.batches), verbose=context.verbose)
        bar.total = len(sample.batches)
        gains = outgoing_gains(
            precise,
            trace(precise, split_untrainable=context.split_untrainable),
            sample,
            norm=self._norm(context.model.optimizer),
            on_batch=bar.advance,
        )
        count = sum(len(each) for each in parents.values())
        bar.close(f"{sample.size} examples, {count} candidates")
        nothing: dict[str, Any] = {}
        scores = SplittingScores(
            {
                space.name: SpaceScores(
                    np.zeros(space.width),
                    gains[space.name][space.width :],
                    nothing,
                    nothing,
                    parents=parents[space.name],
                )
                for space in context.graph.growable
            },
            epsilon=1.0,
            loss=math.nan,
            examples=sample.size,
            estimator=repr(self),
            passes=1,
        )
        plan = select(scores, context.graph, **context.selection)
        return Proposal(plan, scores, cost * sample.size)

    def _parents(self, context: Round) -> dict[str, np.ndarray]:
        """The neuron that each candidate of a space is a child of."""
        generator = np.random.default_rng(context.seed)
        growth = context.selection.get("max_growth", 2.0)
        found = {}
        for space in context.graph.growable:
            room = min((growth - 1) * space.width, context.children * space.width)
            count = max(1, math.ceil(self.share * room))
            laps = -(-count // space.width)
            order = [generator.permutation(space.width) for _ in range(laps)]
            found[space.name] = np.concatenate(order)[:count]
        return found

    def _norm(self, optimizer: keras.Optimizer) -> Norm:
        if self.norm != "auto":
            return self.norm
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        return "squares" if isinstance(inner, keras.optimizers.SGD) else "absolute"
