"""One removal of a job: decide what to remove, remove it, measure, record."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import keras

from tf_splitting.costs import count_macs, get_cost
from tf_splitting.estimating import removal_scores
from tf_splitting.growing.recording import Rounds
from tf_splitting.growing.shrink_arguments import ShrinkArguments
from tf_splitting.jobs import JobState
from tf_splitting.methods import RemovalProposal
from tf_splitting.rebuilding import removed
from tf_splitting.selecting import losses_of, select_removals
from tf_splitting.tracing import trace


@dataclass(frozen=True)
class Shrinker:
    """Shrinks a model by one round, as often as it is asked.

    Attributes:
        arguments: what the user wants.
        rounds: where they are measured and told.
    """

    arguments: ShrinkArguments
    rounds: Rounds

    def is_done(self, model: keras.Model) -> bool:
        """Whether the model is within its targets."""
        wanted = self.arguments
        if self.rounds.history.stopped is not None:
            return True
        if count_macs(model) > wanted.target_macs:
            return False
        graph = trace(model, split_untrainable=wanted.split_untrainable)
        cost = get_cost(wanted.cost)(graph, graph.widths)
        return cost <= wanted.target_cost

    def propose(
        self, model: keras.Model, state: JobState, compute: float
    ) -> RemovalProposal:
        """Decides what to remove. The state learns what was measured on the way."""
        start = time.perf_counter()
        wanted, macs = self.arguments, count_macs(model)
        state.before = self.rounds.losses(model)
        estimator = wanted.chosen_estimator
        cost = estimator.steps * macs
        sample = self.rounds.sample
        if cost:
            affordable = max(compute / cost, sample.batches[0].size)
            sample = sample.part(0, int(min(affordable, sample.size)))
        graph = trace(model, split_untrainable=wanted.split_untrainable)
        scores = removal_scores(model, graph, sample, estimator, verbose=wanted.verbose)
        # Multiples of widths may have brought the model below a round's target before.
        left = [t for t in self.rounds.schedule.targets[state.round :] if t < macs]
        target = left[0] if left else self.rounds.schedule.targets[-1]
        last = len(left) <= 1
        plan = select_removals(
            scores,
            graph,
            target_macs=target,
            target_cost=wanted.target_cost if last else math.inf,
            **wanted.selection,
        )
        self.rounds.proposed(state, start, cost * sample.size)
        return RemovalProposal(plan, scores, cost * sample.size)

    def apply(
        self, model: keras.Model, proposal: RemovalProposal, state: JobState
    ) -> keras.Model:
        """Removes, measures and records.

        Raises:
            RebuildError: the smaller model is not what was planned.
        """
        start = time.perf_counter()
        wanted = self.arguments
        graph = trace(model, split_untrainable=wanted.split_untrainable)
        smaller = removed(
            model,
            graph,
            proposal.plan,
            self.rounds.measured if wanted.fold else None,
            verify=self.rounds.sample.batches[0].x if wanted.verify else None,
            split_untrainable=wanted.split_untrainable,
            optimizer_state=wanted.optimizer_state,
        )
        scores, plan = proposal.scores, proposal.plan
        losses = losses_of(plan, scores) if scores.predicted else {}
        self.rounds.record(
            smaller,
            state,
            start,
            graph,
            plan.widths(graph),
            kind="removal",
            added=0,
            removed=len(plan),
            epsilon=None,
            after=self.rounds.losses(smaller),
            examples=scores.examples,
            passes=wanted.chosen_estimator.passes,
            predicted_gain=-sum(losses.values()) if scores.predicted else None,
            gains={space: -loss for space, loss in losses.items()},
        )
        return smaller

    def give_up(self, model: keras.Model, state: JobState) -> None:
        """Records that nothing more is removed."""
        self.rounds.history.stopped = self.rounds.tell(
            f"Shrinking stops in round {state.round + 1}: nothing is left that may go."
        )
