"""The rounds of a growing job: train, propose, split, record."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tf_splitting.costs import count_macs, count_params
from tf_splitting.data import Sample
from tf_splitting.errors import (
    Interrupted,
    NonFiniteLossError,
    PeerError,
    RebuildError,
    SplittingError,
)
from tf_splitting.growing.freeing import free_old_functions
from tf_splitting.growing.step_size import build_at
from tf_splitting.jobs import ESTIMATED, TRAINING, JobState, Keeper, Saving
from tf_splitting.methods import Method, Proposal, Round
from tf_splitting.rebuilding import FRESH, Splitting
from tf_splitting.support import (
    Placement,
    format_count,
    format_seconds,
    format_table,
    in_a_line,
    raise_if_requested,
)
from tf_splitting.tracing import trace
from tf_splitting.training import (
    CosineDecay,
    Divided,
    Feed,
    GrowthHistory,
    Recorder,
    RoundRecord,
    Schedule,
    StopOnNonFinite,
    Watched,
    check_loss,
    has_own_schedule,
    measure,
    reestimate_batch_statistics,
    run_epochs,
)

# A model within this share of its target counts as having reached it.
REACHED = 0.97
# Examples that losses around a split and batch statistics are measured on.
MEASURED = 1024


@dataclass
class Job:
    """A growing job: what does not change from round to round, and how far it is.

    The arguments are those of `grow`, checked; `selection` holds the ones that
    `select` takes, `fit_arguments` those passed on to `fit`.
    """

    feed: Feed
    schedule: Schedule
    sample: Sample
    history: GrowthHistory
    method: Method
    selection: dict[str, Any]
    epsilon: float | str
    target: float
    callbacks: list[keras.callbacks.Callback]
    fit_arguments: dict[str, Any]
    seed: int
    verbose: int
    verify: bool
    split_untrainable: bool
    placement: Placement = field(default_factory=Placement)
    keeper: Keeper | None = None
    save_steps: int | None = None
    state: JobState = field(default_factory=JobState)
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.history, self.schedule, verbose=self.verbose)

    def run(self, model: keras.Model) -> keras.Model:
        """Trains and grows the model, from where the job was saved if it was.

        Raises:
            Interrupted: somebody has asked to stop; the job is saved.
            NonFiniteLossError: the loss or a weight became NaN or infinite.
            PeerError: another process that shares the job is gone.
        """
        try:
            return self._run(model)
        except NonFiniteLossError as error:
            if self._saved is None:
                raise
            raise NonFiniteLossError(
                f"{error} The last good checkpoint is {self._saved}."
            ) from error
        except Exception as error:
            if self.placement.processes == 1 or isinstance(error, SplittingError):
                raise
            raise PeerError(
                f"Process {self.placement.process} of {self.placement.processes} "
                f"cannot go on: {in_a_line(error)}. If another one is gone, all stop. "
                "Start all of them again, with the same arguments, to go on from "
                f"{self._saved or 'the beginning'}."
            ) from error

    def _run(self, model: keras.Model) -> keras.Model:
        proposal, metrics = None, []
        if self.keeper is not None:
            resumed = self.keeper.resume(model, self.history)
            if resumed is not None:
                model, self.state = resumed.model, resumed.state
                proposal, metrics = resumed.proposal, resumed.metrics
                # Makes the model's metrics, whose values are about to be set.
                measure(model, self.sample.part(0, 1))
                if self.verbose:
                    print(f"resuming from {resumed.path}: {self._where()}", flush=True)
        while True:
            final = self._is_final(model)
            if self.state.phase == TRAINING:
                self._train(model, final, metrics)
                metrics = []
                if final:
                    return model
                proposal = self._propose(model)
                if not len(proposal.plan):
                    self._stop(model)
                    self.state = self.state.next_phase(split=False)
                    self._save(model)
                    continue
                self.state.phase = ESTIMATED
                self._save(model, proposal)
            model = self._split(model, proposal)
            proposal = None
            self.state = self.state.next_phase(split=True)
            self._save(model)
            free_old_functions()

    @property
    def _saved(self) -> Path | None:
        """What the job could go on from."""
        return self.keeper and self.keeper.last

    def _is_final(self, model: keras.Model) -> bool:
        """Whether the model has grown as far as it will."""
        stopped = self.history.stopped is not None
        return stopped or count_macs(model) >= REACHED * self.target

    def _where(self) -> str:
        state = self.state
        where = f"round {state.round}, {state.epoch} epochs done"
        if state.phase == ESTIMATED:
            return f"{where}, about to split"
        return f"{where}, {state.batch} batches of the next" if state.batch else where

    def _save(self, model: keras.Model, proposal: Proposal | None = None) -> None:
        if self.keeper is not None:
            self.keeper.save(model, self.history, self.state, proposal)
        raise_if_requested(self.placement, self._saved)

    def _train(
        self, model: keras.Model, final: bool, metrics: list[np.ndarray]
    ) -> None:
        """Trains the phase's epochs that are left."""
        state, schedule = self.state, self.schedule
        length = schedule.final_epochs if final else schedule.epochs
        if not length:
            return
        last = state.epoch if state.ended else state.first_epoch + length
        self.recorder.round, self.recorder.final = state.round, final
        self.recorder.macs = count_macs(model)
        self.recorder.spent_before = state.spent
        callbacks = [StopOnNonFinite(), self.recorder]
        if final and not has_own_schedule(model.optimizer):
            if state.peak is None:
                state.peak = float(np.asarray(model.optimizer.learning_rate))
            callbacks.append(CosineDecay(length, state.first_epoch, state.peak))
        # The user's come last, so that they see the rate of the batch they are told
        # of; what saves comes behind them, to save what they have done.
        callbacks += self.callbacks
        callbacks.append(
            Saving(self._save, state, self.recorder, self.save_steps, self.placement)
        )
        feed = Watched(self.feed, model, self.placement)
        try:
            run_epochs(
                model,
                Divided(feed, self.placement),
                first_epoch=state.epoch,
                last_epoch=last,
                first_batch=state.batch,
                metrics=metrics,
                callbacks=callbacks,
                arguments=self.fit_arguments,
            )
        except Exception:
            if feed.found is None:
                raise
            raise feed.found from None
        finally:
            if state.peak is not None:
                # However it ends: the same call may come again with this model.
                model.optimizer.learning_rate = state.peak

    def _propose(self, model: keras.Model) -> Proposal:
        """Decides what to split."""
        raise_if_requested(self.placement, self._saved)
        start = time.perf_counter()
        # Short rounds leave moving statistics behind the weights. Both sides of the
        # split are measured with fresh ones, or catching up would pass for a gain.
        measured = self.sample.part(0, MEASURED)
        reestimate_batch_statistics(model, measured)
        self.state.before = check_loss(measure(model, measured))
        targets = self.schedule.targets
        number = self.state.round + 1
        target = targets[min(number, len(targets)) - 1]
        try:
            proposal = self.method.propose(
                Round(
                    model,
                    trace(model, split_untrainable=self.split_untrainable),
                    self.sample,
                    {**self.selection, "target_macs": target},
                    self.seed + number,
                    self.verbose,
                )
            )
        except Interrupted as stop:
            # Raised in the middle of a pass, where nobody knows of checkpoints.
            raise Interrupted(stop.reason, self._saved) from None
        self.state.estimating = time.perf_counter() - start
        return proposal

    def _split(self, model: keras.Model, proposal: Proposal) -> keras.Model:
        """Splits, measures and records."""
        start = time.perf_counter()
        number = self.state.round + 1
        before = self.state.before
        splitting = Splitting(
            model,
            proposal.plan,
            scores=proposal.scores,
            seed=self.seed + number,
            fresh=self.epsilon == FRESH,
            verify=self.sample.batches[0].x if self.verify else None,
            split_untrainable=self.split_untrainable,
        )
        measured = self.sample.part(0, MEASURED)
        grown, step, after = build_at(splitting, self.epsilon, measured, before["loss"])
        trained = sum(
            epoch["seconds"]
            for epoch in self.history.epochs
            if epoch["round"] == self.state.round
        )
        record = RoundRecord(
            round=number,
            macs=count_macs(grown),
            params=count_params(grown),
            added=len(proposal.plan),
            widths=splitting.growth.new_widths,
            epsilon=step,
            before=before,
            after=after,
            examples=proposal.scores and proposal.scores.examples,
            passes=proposal.scores and proposal.scores.passes,
            predicted_gain=_predicted_gain(proposal),
            seconds={
                "training": trained,
                "estimating": self.state.estimating,
                "rebuilding": time.perf_counter() - start,
            },
        )
        self._check_budget(record, model)
        self.history.rounds.append(record)
        if self.verbose:
            rounds = max(number, self.schedule.rounds)
            print(round_table(record, rounds), flush=True)
        return grown

    def _check_budget(self, record: RoundRecord, model: keras.Model) -> None:
        if record.macs > self.target:
            raise RebuildError(
                f"The rebuilt model has {record.macs} MACs, more than the target of "
                f"{self.target:g}. This is a bug: please report it with the model's "
                "config.",
                model,
            )

    def _stop(self, model: keras.Model) -> None:
        macs = count_macs(model)
        self.history.stopped = (
            f"Growing stops in round {self.state.round + 1} at {format_count(macs)} of "
            f"{format_count(self.target)} MACs: no split that gains fits the budget "
            "and the limits on widths."
        )
        if self.verbose:
            print(self.history.stopped, flush=True)


def _predicted_gain(proposal: Proposal) -> float | None:
    if proposal.scores is None:
        return None
    return float(
        sum(
            proposal.scores[space].gain[indices].sum()
            for space, indices in proposal.plan.splits.items()
        )
    )


def round_table(record: RoundRecord, rounds: int) -> str:
    """A round's table: cost, loss and metrics before and after the split, time."""
    rows = [(f"round {record.round}/{rounds}", "before split", "after split")]
    rows += [
        (name, f"{record.before[name]:.4f}", f"{record.after[name]:.4f}")
        for name in record.before
    ]
    spent = ", ".join(f"{k} {format_seconds(v)}" for k, v in record.seconds.items())
    measured = (
        f" measured on {record.examples} examples"
        if record.examples is not None
        else ""
    )
    tail = (
        f"+{record.added} neurons{measured}, epsilon {record.epsilon}: "
        f"{format_count(record.macs)} MACs, {format_count(record.params)} params; "
        f"{spent}"
    )
    return f"{format_table(rows)}\n{tail}"
