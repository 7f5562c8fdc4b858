"""One growth step of a job: decide what to split, split it, measure, record."""

from __future__ import annotations

import time
from dataclasses import dataclass

import keras

from tf_splitting.costs import count_macs
from tf_splitting.errors import RebuildError
from tf_splitting.growing.grow_arguments import GrowArguments
from tf_splitting.growing.recording import Rounds
from tf_splitting.growing.step_size import build_at
from tf_splitting.jobs import JobState
from tf_splitting.methods import Proposal, Round
from tf_splitting.rebuilding import FRESH, Splitting
from tf_splitting.selecting import gains_of
from tf_splitting.support import format_count
from tf_splitting.tracing import trace

# A model within this share of its target counts as having reached it.
REACHED = 0.97


@dataclass(frozen=True)
class Grower:
    """Grows a model by one round, as often as it is asked.

    Attributes:
        arguments: what the user wants.
        rounds: where they are measured and told.
    """

    arguments: GrowArguments
    rounds: Rounds

    def is_done(self, model: keras.Model) -> bool:
        """Whether the model has grown as far as it will."""
        stopped = self.rounds.history.stopped is not None
        return stopped or reaches(model, self.arguments.targets[-1])

    def propose(self, model: keras.Model, state: JobState, compute: float) -> Proposal:
        """Decides what to split. The state learns what was measured on the way.

        Args:
            compute: most that it may take, in MACs of training steps times images.
        """
        start = time.perf_counter()
        wanted, number = self.arguments, state.round + 1
        state.before = self.rounds.losses(model)
        graph, spent = trace(model, split_untrainable=wanted.split_untrainable), 0.0
        for target in self._targets(model, state):
            proposal = wanted.chosen_method().propose(
                Round(
                    model,
                    graph,
                    self.rounds.sample,
                    {**wanted.selection, "target_macs": target},
                    wanted.seed + number,
                    wanted.verbose,
                    fresh=wanted.epsilon == FRESH,
                    start=wanted.start,
                    split_untrainable=wanted.split_untrainable,
                    compute=compute,
                )
            )
            spent += proposal.compute
            if len(proposal.plan):
                break
        # What could not be split for a family's member before does not count.
        state.measuring = state.estimating = state.estimated = 0.0
        self.rounds.proposed(state, start, spent)
        return proposal

    def _targets(self, model: keras.Model, state: JobState) -> list[float]:
        """The budget of a round, and those of later ones, should no split fit it.

        A family's next member comes first, however many rounds it takes. A round that
        took a later one's budget leaves some behind.
        """
        targets, last = self.rounds.schedule.targets, self._next(state)
        own, macs = min(state.round, len(targets) - 1), count_macs(model)
        return [*(t for t in targets[own:] if macs < t < last), last]

    def apply(
        self, model: keras.Model, proposal: Proposal, state: JobState
    ) -> keras.Model:
        """Splits, measures and records.

        Raises:
            RebuildError: the grown model is not what was planned.
        """
        start = time.perf_counter()
        wanted, number = self.arguments, state.round + 1
        splitting = Splitting(
            model,
            proposal.plan,
            scores=proposal.scores,
            seed=wanted.seed + number,
            fresh=wanted.epsilon == FRESH,
            start=wanted.start,
            optimizer_state=wanted.optimizer_state,
            verify=self.rounds.sample.batches[0].x if wanted.verify else None,
            split_untrainable=wanted.split_untrainable,
        )
        before, scores = state.before or {}, proposal.scores
        gains = {} if scores is None else gains_of(proposal.plan, scores)
        grown, step, after = build_at(
            splitting,
            wanted.epsilon,
            self.rounds.measured,
            before["loss"],
            self.rounds.watch,
        )
        self._check_budget(grown, model, state)
        self.rounds.record(
            grown,
            state,
            start,
            splitting.graph,
            splitting.growth.new_widths,
            added=len(proposal.plan),
            epsilon=step,
            after=after,
            examples=None if scores is None else scores.examples,
            passes=None if scores is None else scores.passes,
            predicted_gain=None if scores is None else sum(gains.values()),
            gains=gains,
        )
        state.newcomers = proposal.plan.added
        return grown

    def give_up(self, model: keras.Model, state: JobState) -> None:
        """Records that no further split is possible, up to a member or at all."""
        target = self._next(state)
        text = self.rounds.tell(
            f"Growing stops in round {state.round + 1} at "
            f"{format_count(count_macs(model))} of {format_count(target)} MACs: no "
            "split that gains fits the budget and the limits on widths."
        )
        if target < self.arguments.targets[-1]:
            state.stuck = text
        else:
            self.rounds.history.stopped = text

    def _next(self, state: JobState) -> float:
        """The target that the model is on its way to."""
        return self.arguments.targets[state.members]

    def _check_budget(
        self, grown: keras.Model, model: keras.Model, state: JobState
    ) -> None:
        macs, target = count_macs(grown), self._next(state)
        if macs > target:
            raise RebuildError(
                f"The rebuilt model has {macs} MACs, more than the target of "
                f"{target:g}. This is a bug: please report it with the model's config.",
                model,
            )


def reaches(model: keras.Model, target: float) -> bool:
    """Whether a model counts as having reached a number of MACs."""
    return count_macs(model) >= REACHED * target
