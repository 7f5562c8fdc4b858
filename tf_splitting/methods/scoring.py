"""Random fresh neurons beside every space's own, scored all at once.

Their outgoing weights are zero, so that none changes the function or another's score.
One backward pass over the sample finds the gradient at those weights; what is made of
it is the method's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import keras
import numpy as np

from tf_splitting.costs import count_macs
from tf_splitting.data import Sample
from tf_splitting.errors import SplittingError
from tf_splitting.estimating import (
    Norm,
    OutgoingGradients,
    SpaceScores,
    SplittingScores,
    check_growable,
    in_float32,
    outgoing_gradients,
)
from tf_splitting.methods.base import Proposal, Round
from tf_splitting.rebuilding import Splitting
from tf_splitting.selecting import SplitPlan, select
from tf_splitting.support import Bar
from tf_splitting.tracing import ChannelGraph, Neurons, Slot, trace
from tf_splitting.training import reestimate_batch_statistics

# What scoring costs, in training steps of the widened model over the same images: a
# pass for the gradient, 0.6 (docs/estimates.md, "What scoring candidates costs"), and
# one forward, a third, for the candidates' batch statistics.
PASS_COST = 1.0
# What every candidate would gain, by space, from the gradients at the outgoing weights
# of a widened model; the second argument is the width that each space had before.
Gains = Callable[[OutgoingGradients, Mapping[str, int]], Mapping[str, np.ndarray]]
# Sets the candidates' incoming weights in a widened model, given its graph, the sample
# and the widths before, and returns them, by space and kernel.
Improve = Callable[
    [keras.Model, ChannelGraph, Sample, Mapping[str, int]],
    Mapping[str, Mapping[str, np.ndarray]],
]
NORMS = ("auto", "absolute", "squares")


class Scored(NamedTuple):
    """Scores of candidates, and the compute that they took."""

    scores: SplittingScores
    compute: float


def propose_candidates(context: Round, gains: Gains, **settings: Any) -> Proposal:
    """Draws candidates, scores them, and chooses those that gain most per cost.

    Args:
        context: of the round.
        gains: of all candidates.
        settings: as for `score_candidates`.

    Raises:
        SplittingError: neurons are copied, not added fresh.
    """
    scores, compute = score_candidates(context, gains, **settings)
    return Proposal(select(scores, context.graph, **context.selection), scores, compute)


def score_candidates(
    context: Round,
    gains: Gains,
    *,
    method: str,
    told: str,
    share: float,
    examples: int,
    halves: bool = False,
    moments: bool = False,
    improve: Improve | None = None,
    improve_cost: float = 0.0,
) -> Scored:
    """Draws candidates and scores them.

    Args:
        context: of the round.
        gains: of all candidates.
        method: its name, for messages.
        told: the method and its settings, for the scores.
        share: candidates in every space, as a share of those that it may grow by.
        examples: of the sample, at most.
        halves, moments: as `outgoing_gradients` takes them.
        improve: what makes candidates better before they are scored.
        improve_cost: of that, in training steps of the widened model over the sample.

    Raises:
        SplittingError: neurons are copied, not added fresh.
    """
    if not context.fresh:
        raise SplittingError(
            f"The method {method!r} scores fresh neurons; expected epsilon='fresh', "
            "the default. Copies are scored by 'splitting'."
        )
    check_growable(context.graph)
    widths = {space.name: space.width for space in context.graph.growable}
    parents = _parents(context, share)
    numbers = {space: range(len(each)) for space, each in parents.items()}
    wide = Splitting(
        context.model,
        SplitPlan(parents, candidates=numbers),
        seed=context.seed,
        fresh=True,
        start=context.start,
        split_untrainable=context.split_untrainable,
    ).build(1.0)
    cost = (PASS_COST + improve_cost) * count_macs(wide)
    affordable = min(examples, context.affordable(cost), context.sample.size)
    sample = context.sample.part(0, int(affordable))
    # What a candidate is normalized by has to be its own.
    reestimate_batch_statistics(wide, sample)
    precise = in_float32(wide)
    grown = trace(precise, split_untrainable=context.split_untrainable)
    nothing: dict[str, Any] = {}
    fresh: Mapping[str, Mapping[str, np.ndarray]] = {}
    if improve is not None:
        fresh = improve(precise, grown, sample, widths)
    bar = Bar("scoring", per_pass=len(sample.batches), verbose=context.verbose)
    bar.total = len(sample.batches)
    found = outgoing_gradients(
        precise,
        grown,
        sample,
        halves=halves,
        moments=moments,
        on_batch=bar.advance,
    )
    count = sum(len(each) for each in parents.values())
    bar.close(f"{sample.size} examples, {count} candidates")
    gained = gains(found, widths)
    scores = SplittingScores(
        {
            space: SpaceScores(
                np.zeros(width),
                gained[space],
                nothing,
                nothing,
                parents=parents[space],
                fresh=fresh.get(space, nothing),
            )
            for space, width in widths.items()
        },
        epsilon=1.0,
        loss=math.nan,
        examples=sample.size,
        estimator=told,
        passes=1,
    )
    return Scored(scores, cost * sample.size)


def step_norm(
    norm: Literal["auto", "absolute", "squares"], optimizer: keras.Optimizer
) -> Norm:
    """The norm that an optimizer moves by, unless one is named."""
    if norm != "auto":
        return norm
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return "squares" if isinstance(inner, keras.optimizers.SGD) else "absolute"


def new_gains(norm: Norm) -> Gains:
    """The candidates' gains in a norm."""

    def gains(
        found: OutgoingGradients, widths: Mapping[str, int]
    ) -> dict[str, np.ndarray]:
        of_all = found.gains(norm)
        return {space: of_all[space][width:] for space, width in widths.items()}

    return gains


def candidate_numbers(
    neurons: Neurons, slot: Slot, widths: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """The candidate at each position of a slot, by space; -1 where there is none of it.

    Args:
        neurons: of the widened model.
        slot: one of theirs.
        widths: that each space had before.
    """
    found = {}
    for space, width in widths.items():
        numbers = slot.ids - neurons.offsets[space] - width
        count = neurons.graph.space(space).width - width
        found[space] = np.where((numbers >= 0) & (numbers < count), numbers, -1)
    return found


def _parents(context: Round, share: float) -> dict[str, np.ndarray]:
    """The neuron that each candidate of a space is a child of."""
    generator = np.random.default_rng(context.seed)
    growth = context.selection.get("max_growth", 2.0)
    found = {}
    for space in context.graph.growable:
        room = min((growth - 1) * space.width, context.children * space.width)
        count = max(1, math.ceil(share * room))
        laps = -(-count // space.width)
        order = [generator.permutation(space.width) for _ in range(laps)]
        found[space.name] = np.concatenate(order)[:count]
    return found
