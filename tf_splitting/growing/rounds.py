"""The rounds of a job: train, propose, split or remove, saved after each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tf_splitting.costs import count_macs
from tf_splitting.data import Sample
from tf_splitting.errors import (
    Interrupted,
    NonFiniteLossError,
    PeerError,
    SplittingError,
)
from tf_splitting.growing.arguments import JobArguments
from tf_splitting.growing.describing import seed_of
from tf_splitting.growing.freeing import free_old_functions
from tf_splitting.growing.resizer import Resizer
from tf_splitting.jobs import ESTIMATED, JobState, Keeper, Resumed, Saving
from tf_splitting.methods import Change
from tf_splitting.support import (
    Placement,
    has_own_schedule,
    in_a_line,
    raise_if_requested,
)
from tf_splitting.training import (
    CosineDecay,
    Divided,
    Feed,
    FittingStatistics,
    GrowthHistory,
    Progress,
    Recorder,
    Schedule,
    StopOnNonFinite,
    Watched,
    measure,
    run_epochs,
)


@dataclass
class Job:
    """A job: what does not change from round to round, and how far it is.

    Attributes:
        feed, sample: training batches; the fixed sample that is measured on.
        schedule: budgets of the rounds, epochs of the phases.
        arguments: what the user wants.
        resizer: of a job that grows or shrinks; None for one that only trains.
        history: filled in.
        fit_arguments: passed on to `fit`.
        placement: of the model.
        keeper: saves the job, if anybody does.
        state: how far it is.
        name: of one of several jobs.
        later: compute that is planned for when it is done, in MACs times passes.
    """

    feed: Feed
    sample: Sample
    schedule: Schedule
    arguments: JobArguments
    resizer: Resizer | None
    history: GrowthHistory
    fit_arguments: dict[str, Any]
    placement: Placement = field(default_factory=Placement)
    keeper: Keeper | None = None
    state: JobState = field(default_factory=JobState)
    name: str | None = None
    later: float = 0.0
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        # A stream that does not say is taken to hold full batches.
        rows = self.feed.rows or self.sample.batches[0].size
        self.recorder = Recorder(
            self.history,
            self.schedule,
            rows=rows,
            steps=self.feed.steps,
            verbose=self.arguments.verbose,
            name=self.name,
        )
        self._steps = self.feed.steps

    def run(self, model: keras.Model) -> keras.Model:
        """Trains and changes the model, from where the job was saved if it was.

        Raises:
            Interrupted: somebody has asked to stop; the job is saved.
            NonFiniteLossError: the loss or a weight became NaN or infinite.
            PeerError: another process that shares the job is gone.
        """
        try:
            return self.work(model)
        except NonFiniteLossError as error:
            if self.saved is None:
                raise
            raise NonFiniteLossError(
                f"{error} The last good checkpoint is {self.saved}."
            ) from error
        except Exception as error:
            if self.placement.processes == 1 or isinstance(error, SplittingError):
                raise
            raise PeerError(
                f"Process {self.placement.process} of {self.placement.processes} "
                f"cannot go on: {in_a_line(error)}. If another one is gone, all stop. "
                "Start all of them again, with the same arguments, to go on from "
                f"{self.saved or 'the beginning'}."
            ) from error

    def work(self, model: keras.Model) -> keras.Model:
        """What `run` does, without a word on where an error leaves the job."""
        resumed = self.resume(model)
        if self.history.seed is None:
            self.history.seed = seed_of(model)
        self.come_back(model)
        if resumed is None:
            return self.go_on(model)
        return self.go_on(resumed.model, resumed.proposal, resumed.metrics)

    def go_on(
        self,
        model: keras.Model,
        proposal: Change | None = None,
        metrics: Sequence[np.ndarray] = (),
    ) -> keras.Model:
        """Does what is left to do.

        Args:
            model: as the state says.
            proposal: what is about to be applied, if anything.
            metrics: values of the metrics variables within an epoch.
        """
        while True:
            self.branch_off(model)
            if (resizer := self._resizer_of(model)) is None:
                break
            if proposal is None:
                self._train(model, metrics, final=False)
                metrics = ()
                proposal = self._propose(model, resizer)
                if not len(proposal.plan):
                    resizer.give_up(model, self.state)
                    proposal = None
                    self.state = self.state.next_phase(split=False)
                    self.save(model)
                    continue
                self.state.phase = ESTIMATED
                self.save(model, proposal)
            model = resizer.apply(model, proposal, self.state)
            proposal = None
            self.state = self.state.next_phase(split=True)
            self.save(model)
            free_old_functions()
        self._train(model, metrics, final=True)
        return model

    def resume(self, seed: keras.Model) -> Resumed | None:
        """The job as it was saved, if it was; the state is set.

        Args:
            seed: what the job started from.
        """
        resumed = (
            None if self.keeper is None else self.keeper.resume(seed, self.history)
        )
        if resumed is None:
            return None
        self.state = resumed.state
        # Makes the model's metrics, whose values are about to be set.
        measure(resumed.model, self.sample.part(0, 1))
        if self.arguments.verbose:
            name = "" if self.name is None else f"{self.name}: "
            print(f"{name}resuming from {resumed.path}: {self._where()}", flush=True)
        return resumed

    def come_back(self, seed: keras.Model) -> None:
        """What else there is to do before a job goes on: nothing.

        Args:
            seed: what the job started from.
        """

    def branch_off(self, model: keras.Model) -> None:
        """What else there is to do between phases: nothing.

        Args:
            model: as it is.
        """

    def _resizer_of(self, model: keras.Model) -> Resizer | None:
        """What changes the model on; None if it is as it is to be."""
        resizer = self.resizer
        return None if resizer is None or resizer.is_done(model) else resizer

    def _propose(self, model: keras.Model, resizer: Resizer) -> Change:
        raise_if_requested(self.placement, self.saved)
        try:
            images = self.recorder.images_per_pass
            compute = self.schedule.estimating * images
            return resizer.propose(model, self.state, compute)
        except Interrupted as stop:
            # Raised in the middle of a pass, where nobody knows of checkpoints.
            raise Interrupted(stop.reason, self.saved) from None

    def _decays(self, final: bool) -> bool:
        """Whether the learning rate falls in a phase."""
        resizer = self.resizer
        return final or (resizer is not None and resizer.arguments.decay == "every")

    @property
    def saved(self) -> Path | None:
        """What the job could go on from."""
        return None if self.keeper is None else self.keeper.last

    def _where(self) -> str:
        state = self.state
        where = f"round {state.round}, {state.epoch} epochs done"
        if state.phase == ESTIMATED:
            return f"{where}, about to split or remove"
        return f"{where}, {state.batch} batches of the next" if state.batch else where

    def save(self, model: keras.Model, proposal: Change | None = None) -> None:
        if self.keeper is not None:
            self.keeper.save(model, self.history, self.state, proposal)
        raise_if_requested(self.placement, self.saved)

    def progress(self, model: keras.Model, *, final: bool) -> Progress:
        """How far the job is; the recorder learns it.

        Args:
            model: as it is.
            final: whether no change of widths follows.
        """
        state, recorder = self.state, self.recorder
        recorder.round, recorder.final = state.round, final
        recorder.macs, recorder.estimated = count_macs(model), state.estimated
        return recorder.progress(state.epoch)

    def _train(
        self, model: keras.Model, metrics: Sequence[np.ndarray], *, final: bool
    ) -> None:
        """Trains the phase's epochs that are left."""
        state, recorder = self.state, self.recorder
        progress = self.progress(model, final=final)
        recorder.spent_before = state.spent
        recorder.later = self.later
        if state.length is None:
            state.length, state.steps = self.schedule.phase(progress, self._steps)
        if not state.length:
            return
        if state.steps is not None:
            self.feed.lay(state.first_epoch, state.position, state.steps)
        last = state.epoch if state.ended else state.first_epoch + state.length
        fitting = FittingStatistics(self.sample, recorder.rows, state.batch)
        callbacks = [StopOnNonFinite(), fitting, self.recorder]
        if self._decays(final) and not has_own_schedule(model.optimizer):
            if state.peak is None:
                state.peak = float(np.asarray(model.optimizer.learning_rate))
            callbacks.append(CosineDecay(state.length, state.first_epoch, state.peak))
        # The user's come last, so that they see the rate of the batch they are told
        # of; what saves comes behind them, to save what they have done.
        callbacks += self.arguments.callbacks or []
        callbacks.append(
            Saving(
                self.save,
                state,
                self.recorder,
                self.arguments.save_steps,
                self.placement,
            )
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
