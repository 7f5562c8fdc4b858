"""The rounds of a growing job: train, propose, split, record."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import keras

from tf_splitting.batch_statistics import reestimate_batch_statistics
from tf_splitting.checks import check_loss
from tf_splitting.costs import count_macs, count_params
from tf_splitting.errors import RebuildError
from tf_splitting.graph import format_table
from tf_splitting.history import GrowthHistory, RoundRecord
from tf_splitting.measuring import measure
from tf_splitting.methods import Method, Proposal, Round
from tf_splitting.progress import format_count, format_seconds
from tf_splitting.rebuilding import FRESH, Splitting
from tf_splitting.sampling import Sample
from tf_splitting.schedule import CosineDecay, Schedule, has_own_schedule
from tf_splitting.step_size import build_at
from tf_splitting.tracing import trace
from tf_splitting.training import Recorder, StopOnNonFinite, fit

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

    dataset: Any
    schedule: Schedule
    sample: Sample
    history: GrowthHistory
    method: Method
    selection: dict[str, Any]
    epsilon: float | str
    target: float
    batch_size: int | None
    callbacks: list[keras.callbacks.Callback]
    fit_arguments: dict[str, Any]
    seed: int
    verbose: int
    verify: bool
    split_untrainable: bool
    epoch: int = 0
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.history, self.schedule, verbose=self.verbose)

    def run(self, model: keras.Model) -> keras.Model:
        """Trains and grows the model; returns the one it has become."""
        number = 0
        while count_macs(model) < REACHED * self.target:
            started = time.perf_counter()
            self._train(model, self.schedule.epochs, number)
            trained = time.perf_counter() - started
            number += 1
            grown = self._round(model, number, trained)
            if grown is None:
                break
            model = grown
        self._train(model, self.schedule.final_epochs, number, final=True)
        return model

    def _train(
        self, model: keras.Model, epochs: int, number: int, final: bool = False
    ) -> None:
        if not epochs:
            return
        self.recorder.round = number
        self.recorder.macs = count_macs(model)
        callbacks = [StopOnNonFinite(), self.recorder]
        if final and not has_own_schedule(model.optimizer):
            callbacks.append(CosineDecay(epochs))
        # The user's come last, so that they see the rate of the batch they are told of.
        callbacks += self.callbacks
        fit(
            model,
            self.dataset,
            batch_size=self.batch_size,
            first_epoch=self.epoch,
            epochs=epochs,
            callbacks=callbacks,
            arguments=self.fit_arguments,
        )
        self.epoch += epochs

    def _round(
        self, model: keras.Model, number: int, trained: float
    ) -> keras.Model | None:
        """Splits; None if nothing gains."""
        clock = time.perf_counter
        start = clock()
        # Short rounds leave moving statistics behind the weights. Both sides of the
        # split are measured with fresh ones, or catching up would pass for a gain.
        measured = self.sample.part(0, MEASURED)
        reestimate_batch_statistics(model, measured)
        before = check_loss(measure(model, measured))
        targets = self.schedule.targets
        target = targets[min(number, len(targets)) - 1]
        graph = trace(model, split_untrainable=self.split_untrainable)
        proposal = self.method.propose(
            Round(
                model,
                graph,
                self.sample,
                {**self.selection, "target_macs": target},
                self.seed + number,
                self.verbose,
            )
        )
        estimated = clock() - start
        if not len(proposal.plan):
            self._stop(number, model)
            return None
        start = clock()
        splitting = Splitting(
            model,
            proposal.plan,
            scores=proposal.scores,
            seed=self.seed + number,
            fresh=self.epsilon == FRESH,
            verify=self.sample.batches[0].x if self.verify else None,
            split_untrainable=self.split_untrainable,
        )
        grown, step, after = build_at(splitting, self.epsilon, measured, before["loss"])
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
                "estimating": estimated,
                "rebuilding": clock() - start,
            },
        )
        self._check_budget(record, model)
        self.history.rounds.append(record)
        if self.verbose:
            print(round_table(record, max(number, len(targets))), flush=True)
        return grown

    def _check_budget(self, record: RoundRecord, model: keras.Model) -> None:
        if record.macs > self.target:
            raise RebuildError(
                f"The rebuilt model has {record.macs} MACs, more than the target of "
                f"{self.target:g}. This is a bug: please report it with the model's "
                "config.",
                model,
            )

    def _stop(self, number: int, model: keras.Model) -> None:
        macs = count_macs(model)
        self.history.stopped = (
            f"Growing stops in round {number} at {format_count(macs)} of "
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
