"""What every change of widths measures and records, whatever it changes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import keras

from tf_splitting.costs import macs_by_space
from tf_splitting.data import Sample
from tf_splitting.growing.arguments import MEASURED
from tf_splitting.growing.describing import described
from tf_splitting.growing.round_table import round_table
from tf_splitting.jobs import JobState
from tf_splitting.support import Stopwatch, wrapped
from tf_splitting.tracing import ChannelGraph, trace
from tf_splitting.training import (
    GrowthHistory,
    RoundRecord,
    Schedule,
    check_loss,
    measure,
    reestimate_batch_statistics,
)


@dataclass(frozen=True)
class Rounds:
    """Where rounds are measured and told.

    Attributes:
        sample: the fixed sample that is measured on.
        schedule: holds the budgets of the rounds.
        history: what is done is told here.
        verbose: 0 is silent.
        watch: runs while something is measured.
    """

    sample: Sample
    schedule: Schedule
    history: GrowthHistory
    verbose: int
    watch: Stopwatch = field(default_factory=Stopwatch)

    @property
    def measured(self) -> Sample:
        """The part of the sample that losses around a change are measured on."""
        return self.sample.part(0, MEASURED)

    def losses(self, model: keras.Model) -> dict[str, float]:
        """Loss and metrics, with batch statistics as they are for these weights.

        Short rounds leave moving statistics behind the weights: catching up would pass
        for a gain.

        Raises:
            NonFiniteLossError: the loss is NaN or infinite.
        """
        with self.watch:
            reestimate_batch_statistics(model, self.measured)
            return check_loss(measure(model, self.measured))

    def proposed(self, state: JobState, start: float, compute: float) -> None:
        """Adds to the state what deciding on a change has taken.

        Args:
            state: of the job.
            start: when that began, by `time.perf_counter`.
            compute: that it took, in MACs of training steps times images.
        """
        measuring = self.watch.reset()
        state.measuring += measuring
        state.estimating += time.perf_counter() - start - measuring
        state.estimated += compute

    def record(
        self,
        model: keras.Model,
        state: JobState,
        start: float,
        before: ChannelGraph,
        widths: dict[str, int],
        **own: Any,
    ) -> None:
        """Writes down what a round has done, and tells it.

        Args:
            model: as it is now.
            state: of the job.
            start: when rebuilding began, by `time.perf_counter`.
            before: graph of the model that was changed.
            widths: of all spaces now.
            own: the fields of the record that only who made the change knows.
        """
        spent, measuring = time.perf_counter() - start, self.watch.reset()
        epochs = [e for e in self.history.epochs if e["round"] == state.round]
        record = RoundRecord(
            round=state.round + 1,
            **described(model, trace(model), widths),
            before=state.before or {},
            seconds={
                "training": sum(epoch["seconds"] for epoch in epochs),
                "estimating": state.estimating,
                "rebuilding": spent - measuring,
                "measuring": state.measuring + measuring,
            },
            compute={
                "training": sum(epoch.get("compute", 0.0) for epoch in epochs),
                "estimating": state.estimated,
            },
            space_macs=macs_by_space(before, widths),
            **own,
        )
        self.history.rounds.append(record)
        if self.verbose:
            rounds = max(record.round, len(self.schedule.targets))
            print(round_table(record, rounds), flush=True)

    def tell(self, text: str) -> str:
        """Prints, if that is wanted, and returns the text."""
        if self.verbose:
            print(wrapped(text), flush=True)
        return text
