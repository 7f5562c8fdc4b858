"""One exchange of a job: remove where it costs little, split where it gains more."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import keras

from tf_splitting.costs import count_macs, count_params
from tf_splitting.data import Sample
from tf_splitting.estimating import RemovalScores, removal_scores
from tf_splitting.growing.arguments import MEASURED, RoundsArguments
from tf_splitting.growing.exchanges import EXAMPLES, Exchanges
from tf_splitting.growing.round_table import round_table
from tf_splitting.jobs import JobState
from tf_splitting.methods import ExchangeProposal, Round
from tf_splitting.rebuilding import FRESH, Splitting, removed
from tf_splitting.selecting import select_exchanges
from tf_splitting.tracing import trace
from tf_splitting.training import (
    GrowthHistory,
    RoundRecord,
    Schedule,
    check_loss,
    measure,
    reestimate_batch_statistics,
)


@dataclass(frozen=True)
class Reallocator:
    """Exchanges neurons in a number of rounds, as long as that pays.

    Attributes:
        arguments: what the user wants.
        exchanges: how.
        rounds: how many.
        sample: the fixed sample that is measured on.
        schedule: of the job.
        history: what is done is told here.
    """

    arguments: RoundsArguments
    exchanges: Exchanges
    rounds: int
    sample: Sample
    schedule: Schedule
    history: GrowthHistory

    @property
    def done(self) -> int:
        """Exchanges that are done."""
        return sum(record.kind == "exchange" for record in self.history.rounds)

    def is_done(self, model: keras.Model) -> bool:
        """Whether all rounds are done, or no exchange pays any more."""
        return self.history.settled is not None or self.done >= self.rounds

    def propose(
        self, model: keras.Model, state: JobState, compute: float
    ) -> ExchangeProposal:
        """Decides what to exchange. The state learns what was measured on the way."""
        start = time.perf_counter()
        wanted, number = self.arguments, state.round + 1
        measured = self.sample.part(0, MEASURED)
        reestimate_batch_statistics(model, measured)
        state.before = check_loss(measure(model, measured))
        graph = trace(model, split_untrainable=wanted.split_untrainable)
        context = Round(
            model,
            graph,
            self.sample,
            {},
            wanted.seed + number,
            wanted.verbose,
            split_untrainable=wanted.split_untrainable,
        )
        losing, gaining = self.exchanges.losing, self.exchanges.gaining(EXAMPLES)
        lost = losing.steps * count_macs(model)
        _, gained = gaining.estimation(context)
        affordable = max(compute / (lost + gained), self.sample.batches[0].size)
        size = int(min(EXAMPLES, affordable, self.sample.size))
        losses = removal_scores(
            model, graph, self.sample.part(0, size), losing, verbose=wanted.verbose
        )
        _protect(losses, state.newcomers)
        gains, spent = self.exchanges.gaining(size).scores(context)
        plan = select_exchanges(
            losses,
            gains,
            graph,
            target_macs=self.schedule.targets[-1],
            moved=self.exchanges.moved,
            **self.exchanges.selection,
        )
        took = spent + lost * losses.examples
        # Growth that could not go on may have measured in this round before.
        state.estimating += time.perf_counter() - start
        state.estimated += took
        return ExchangeProposal(
            plan,
            plan.predicted_gain(losses, gains),
            losses.examples,
            losing.passes + gains.passes,
            took,
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
        measured = self.sample.part(0, MEASURED)
        verify = self.sample.batches[0].x if wanted.verify else None
        smaller = removed(
            model,
            graph,
            plan.removals,
            measured if self.exchanges.fold else None,
            verify=verify,
            split_untrainable=wanted.split_untrainable,
            optimizer_state=wanted.optimizer_state,
        )
        reestimate_batch_statistics(smaller, measured)
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
        after = check_loss(measure(result, measured))
        epochs = [e for e in self.history.epochs if e["round"] == state.round]
        record = RoundRecord(
            round=number,
            macs=count_macs(result),
            params=count_params(result),
            added=len(plan.splits),
            removed=len(plan.removals),
            widths=plan.widths(graph),
            epsilon=FRESH,
            before=state.before or {},
            after=after,
            examples=proposal.examples,
            passes=proposal.passes,
            predicted_gain=proposal.gain,
            seconds={
                "training": sum(epoch["seconds"] for epoch in epochs),
                "estimating": state.estimating,
                "rebuilding": time.perf_counter() - start,
            },
            compute={
                "training": sum(epoch.get("compute", 0.0) for epoch in epochs),
                "estimating": state.estimated,
            },
            kind="exchange",
        )
        self.history.rounds.append(record)
        state.newcomers = plan.splits.added
        if wanted.verbose:
            rounds = max(number, len(self.schedule.targets))
            print(round_table(record, rounds), flush=True)
        return result

    def give_up(self, model: keras.Model, state: JobState) -> None:
        """Records that no exchange pays any more."""
        self.history.settled = (
            f"Reallocation stops in round {state.round + 1}: no allowed exchange pays."
        )
        if self.arguments.verbose:
            print(self.history.settled, flush=True)


def _protect(losses: RemovalScores, newcomers: Mapping[str, int]) -> None:
    """Makes neurons stay that were added a round ago.

    What has had no time to be of use loses least: without this, every round would
    undo the one before.
    """
    for space, count in newcomers.items():
        losses[space][-count:] = math.inf
