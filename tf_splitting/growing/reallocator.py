"""One exchange of a job: remove where it costs little, split where it gains more."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import keras

from tf_splitting.costs import count_macs
from tf_splitting.estimating import RemovalScores, removal_scores
from tf_splitting.growing.arguments import EXAMPLES, RoundsArguments
from tf_splitting.growing.exchanges import Exchanges
from tf_splitting.growing.recording import Rounds
from tf_splitting.jobs import JobState
from tf_splitting.methods import ExchangeProposal, Round
from tf_splitting.rebuilding import FRESH, Splitting, removed
from tf_splitting.selecting import select_exchanges
from tf_splitting.tracing import trace


@dataclass(frozen=True)
class Reallocator:
    """Exchanges neurons in a number of rounds, as long as that pays.

    Attributes:
        arguments: what the user wants.
        exchanges: how.
        count: how many rounds.
        rounds: where they are measured and told.
    """

    arguments: RoundsArguments
    exchanges: Exchanges
    count: int
    rounds: Rounds

    @property
    def done(self) -> int:
        """Exchanges that are done."""
        return sum(record.kind == "exchange" for record in self.rounds.history.rounds)

    def is_done(self, model: keras.Model) -> bool:
        """Whether all rounds are done, or no exchange pays any more."""
        return self.rounds.history.settled is not None or self.done >= self.count

    def propose(
        self, model: keras.Model, state: JobState, compute: float
    ) -> ExchangeProposal:
        """Decides what to exchange. The state learns what was measured on the way."""
        start = time.perf_counter()
        wanted, number = self.arguments, state.round + 1
        sample = self.rounds.sample
        state.before = self.rounds.losses(model)
        graph = trace(model, split_untrainable=wanted.split_untrainable)
        context = Round(
            model,
            graph,
            sample,
            {},
            wanted.seed + number,
            wanted.verbose,
            split_untrainable=wanted.split_untrainable,
        )
        losing, gaining = self.exchanges.losing, self.exchanges.gaining
        lost = losing.steps * count_macs(model)
        estimation, gained = gaining.estimation(context)
        affordable = max(compute / (lost + gained), sample.batches[0].size)
        sample = sample.part(0, int(min(EXAMPLES, affordable, sample.size)))
        losses = removal_scores(model, graph, sample, losing, verbose=wanted.verbose)
        _protect(losses, state.newcomers)
        gains = estimation.scores(sample, context.seed, held_out=gaining.held_out)
        plan = select_exchanges(
            losses,
            gains,
            graph,
            target_macs=self.rounds.schedule.targets[-1],
            moved=self.exchanges.moved,
            **self.exchanges.selection,
        )
        took = gained * gains.examples + lost * losses.examples
        self.rounds.proposed(state, start, took)
        return ExchangeProposal(
            plan,
            plan.predicted_gain(losses, gains),
            losses.examples,
            losing.passes + gains.passes,
            took,
            plan.predicted_gains(losses, gains),
        )

    def apply(
        self, model: keras.Model, proposal: ExchangeProposal, state: JobState
    ) -> keras.Model:
        """Removes, splits, measures and records.

        Raises:
            RebuildError: a new model is not what was planned.
        """
        start = time.perf_counter()
        wanted, number, plan = self.arguments, state.round + 1, proposal.plan
        graph = trace(model, split_untrainable=wanted.split_untrainable)
        verify = self.rounds.sample.batches[0].x if wanted.verify else None
        smaller = removed(
            model,
            graph,
            plan.removals,
            self.rounds.measured if self.exchanges.fold else None,
            verify=verify,
            split_untrainable=wanted.split_untrainable,
            optimizer_state=wanted.optimizer_state,
        )
        splitting = Splitting(
            smaller,
            plan.splits_after(graph),
            seed=wanted.seed + number,
            fresh=True,
            start=self.exchanges.start,
            optimizer_state=wanted.optimizer_state,
            verify=verify,
            split_untrainable=wanted.split_untrainable,
        )
        result = splitting.build(1.0)
        self.rounds.record(
            result,
            state,
            start,
            graph,
            plan.widths(graph),
            kind="exchange",
            added=len(plan.splits),
            removed=len(plan.removals),
            epsilon=FRESH,
            after=self.rounds.losses(result),
            examples=proposal.examples,
            passes=proposal.passes,
            predicted_gain=proposal.gain,
            gains=proposal.gains or {},
        )
        state.newcomers = plan.splits.added
        return result

    def give_up(self, model: keras.Model, state: JobState) -> None:
        """Records that no exchange pays any more."""
        self.rounds.history.settled = self.rounds.tell(
            f"Reallocation stops in round {state.round + 1}: no allowed exchange pays."
        )


def _protect(losses: RemovalScores, newcomers: Mapping[str, int]) -> None:
    """Makes neurons stay that were added a round ago.

    What has had no time to be of use loses least: without this, every round would
    undo the one before.
    """
    for space, count in newcomers.items():
        losses[space][-count:] = math.inf
