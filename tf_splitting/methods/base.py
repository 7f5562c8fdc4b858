"""What a growth method is: it decides which neurons to split in a round."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import keras

from tf_splitting.data import Sample
from tf_splitting.estimating import RemovalScores, SplittingScores
from tf_splitting.rebuilding import FreshStart
from tf_splitting.selecting import ExchangePlan, RemovalPlan, SplitPlan
from tf_splitting.tracing import ChannelGraph

# No space grows by more in a round, however large `max_growth` is.
MOST_GROWTH = 64


@dataclass(frozen=True)
class Round:
    """What a method may look at.

    Attributes:
        model, graph: as trained so far, and its trace.
        sample: the estimation sample.
        selection: keyword arguments for `select`: budget, cost, limits.
        seed: differs from round to round.
        verbose: 0 is silent.
        fresh: whether neurons are added fresh, so that one may be the parent of
            several.
        start: what a fresh neuron carries along.
        split_untrainable: as `graph` was traced.
        compute: most that scoring may take, in multiply-accumulates of training steps
            times images. One batch is looked at in any case.
    """

    model: keras.Model
    graph: ChannelGraph
    sample: Sample
    selection: dict[str, Any]
    seed: int
    verbose: int
    fresh: bool = False
    start: FreshStart = FreshStart()  # noqa: RUF009  (it cannot change)
    split_untrainable: bool = False
    compute: float = math.inf

    def affordable(self, cost: float) -> float:
        """How many examples may be scored; each counts as often as it is.

        Args:
            cost: of one, in the units of `compute`.
        """
        return max(self.compute / cost, self.sample.batches[0].size)

    @property
    def children(self) -> int:
        """Most new neurons that one neuron may be the parent of."""
        growth = self.selection.get("max_growth", 2.0)
        return max(1, math.ceil(min(growth, MOST_GROWTH) - 1)) if self.fresh else 1


class Proposal(NamedTuple):
    """What a method would split.

    Attributes:
        plan: the neurons.
        scores: what it was chosen by. Splits go along their directions; None: along
            random unit vectors.
        compute: what finding them took, in multiply-accumulates of training steps.
    """

    plan: SplitPlan
    scores: SplittingScores | None
    compute: float = 0.0


class RemovalProposal(NamedTuple):
    """What a round would remove.

    Attributes:
        plan: the neurons.
        scores: what it was chosen by.
        compute: what finding them took, in multiply-accumulates of training steps.
    """

    plan: RemovalPlan
    scores: RemovalScores
    compute: float = 0.0


class ExchangeProposal(NamedTuple):
    """What a round would exchange.

    Attributes:
        plan: the neurons that go, and those that are split.
        gain: what the loss is to fall by.
        examples, passes: how much was looked at, and how often.
        compute: what finding them took, in multiply-accumulates of training steps.
        gains: `gain` by space; what older versions saved has none.
    """

    plan: ExchangePlan
    gain: float
    examples: int
    passes: int
    compute: float = 0.0
    gains: dict[str, float] | None = None


Change = Proposal | RemovalProposal | ExchangeProposal


class Method(Protocol):
    """A growth method: a settings object with one function.

    One that scores fresh neurons only says so by an attribute `fresh_only = True`: it
    is then refused with copies before any work.
    """

    def propose(self, context: Round) -> Proposal:
        """Chooses what to split; an empty plan if nothing gains."""
        ...
