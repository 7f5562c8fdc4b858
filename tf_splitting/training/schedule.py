"""How a job is laid out: budgets of the rounds, lengths of the phases.

Growing rounds are short and run at a constant learning rate; the decay belongs to one
long final phase. Rounds with a full decay each spend the epochs where the network is
small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from tf_splitting.support import arguments

# Of a budget of compute, that estimates may take in all rounds together.
ESTIMATING_SHARE = 0.1


class Length(NamedTuple):
    """How long a phase is.

    Attributes:
        epochs: how many.
        steps: batches in each; None: as many as the data has.
    """

    epochs: int
    steps: int | None = None


class Progress(NamedTuple):
    """How far a job is.

    Attributes:
        round: splits that are done.
        final: whether no split follows.
        epoch: epochs that are done.
        macs: of the model as it is.
        spent: training compute that is used, in units of MACs times passes over the
            data; estimates are in it.
    """

    round: int
    final: bool
    epoch: int
    macs: float
    spent: float


class Schedule(Protocol):
    """Budgets after each split, and how long the phases are.

    Attributes:
        targets: MACs that each round may grow the model to; the last is the target.
        estimating: compute that each round's estimate may take, in the units of
            `Progress.spent`.
    """

    @property
    def targets(self) -> tuple[float, ...]: ...

    @property
    def estimating(self) -> float: ...

    def phase(self, progress: Progress, steps: int | None) -> Length:
        """How long the phase is that begins.

        Args:
            progress: where it begins.
            steps: batches in the data, None where nobody knows.
        """

    def remaining(self, progress: Progress) -> float:
        """Compute that is left, as planned, in the units of `Progress.spent`."""

    def planned(self, round: int) -> Progress:
        """Where the job is to be right after so many rounds, one at least."""

    def told(self, progress: Progress) -> str:
        """How much of the job is done, in the words of the epoch line."""


@dataclass(frozen=True)
class EpochSchedule:
    """Phases of so many epochs.

    Attributes:
        targets: as a `Schedule`'s.
        epochs: epochs before each split.
        final_epochs: epochs after the last one.
    """

    targets: tuple[float, ...]
    epochs: int
    final_epochs: int

    @property
    def estimating(self) -> float:
        return math.inf

    def phase(self, progress: Progress, steps: int | None) -> Length:
        return Length(self.final_epochs if progress.final else self.epochs)

    def remaining(self, progress: Progress) -> float:
        budgets = [progress.macs, *self.targets]
        per_epoch = [m for m in budgets[:-1] for _ in range(self.epochs)]
        per_epoch += [budgets[-1]] * self.final_epochs
        return sum(max(m, progress.macs) for m in per_epoch[progress.epoch :])

    def planned(self, round: int) -> Progress:
        macs = self.targets[round - 1]
        # Nobody asks how much of these has been spent.
        return Progress(round, False, round * self.epochs, macs, 0.0)

    def told(self, progress: Progress) -> str:
        # Limits on widths can make a job take more rounds than planned.
        rounds = progress.round if progress.final else progress.round + 1
        extra = max(rounds - len(self.targets), 0)
        planned = len(self.targets) + extra
        epochs = planned * self.epochs + self.final_epochs
        return f"{_rounds(progress, planned)}epoch {progress.epoch}/{epochs}"


@dataclass(frozen=True)
class ComputeSchedule:
    """Phases that share a budget of training compute.

    Every size before the last gets as many passes over the data as the others, so that
    smaller ones cost less; the last gets what is left. Where limits on widths make
    for more rounds than planned, the sizes in between get none.

    Attributes:
        targets: as a `Schedule`'s.
        seed_macs: MACs of the model that the job starts from.
        training_epochs: the budget, as epochs of the model of the last target.
        growing_share: share of it that is spent before the last change of widths.
        estimating_share: share of it that estimates may take, in all rounds together.
    """

    targets: tuple[float, ...]
    seed_macs: float
    training_epochs: float
    growing_share: float
    estimating_share: float = ESTIMATING_SHARE

    @property
    def budget(self) -> float:
        """Compute of the whole job, in the units of `Progress.spent`."""
        return self.training_epochs * self.targets[-1]

    @property
    def estimating(self) -> float:
        return self.estimating_share * self.budget / len(self.targets)

    @property
    def passes(self) -> float:
        """Passes over the data before each split."""
        return self.growing_share * self.budget / sum(self._sizes(len(self.targets)))

    def phase(self, progress: Progress, steps: int | None) -> Length:
        if steps is None:
            raise ValueError("Nobody knows how long the data is.")
        passes = max(self.budget - progress.spent, 0) / progress.macs
        if not progress.final:
            # Nothing is set aside for rounds that nobody planned.
            planned = progress.round < len(self.targets)
            passes = min(passes, self.passes) if planned else 0
        return divided(math.floor(passes * steps + 1e-6), steps)

    def remaining(self, progress: Progress) -> float:
        return max(self.budget - progress.spent, 0)

    def planned(self, round: int) -> Progress:
        spent = self.passes * sum(self._sizes(round))
        return Progress(round, False, 0, self.targets[round - 1], spent)

    def _sizes(self, rounds: int) -> tuple[float, ...]:
        """MACs of the models that are trained before so many rounds."""
        return (self.seed_macs, *self.targets)[:rounds]

    def told(self, progress: Progress) -> str:
        planned = max(len(self.targets), progress.round)
        spent = progress.spent / self.targets[-1]
        return (
            f"{_rounds(progress, planned)}epoch {progress.epoch}  "
            f"budget {spent:.2f}/{self.training_epochs:.4g}"
        )


def _rounds(progress: Progress, planned: int) -> str:
    """How many are done of those planned; nothing of a job that changes no widths."""
    if progress.final and not progress.round:
        return ""
    return f"round {progress.round}/{planned}  "


def compute_schedules(
    targets: Sequence[tuple[float, ...]],
    seed_macs: float,
    training_epochs: float,
    growing_share: float,
) -> tuple[ComputeSchedule, ...]:
    """Schedules of jobs that are one up to where they part, each with its own budget.

    All train as many passes before a split, and may take as much for an estimate: what
    the one that has least can spend.

    Args:
        targets: MACs that each round of a job may grow the model to, job by job.
        seed_macs, training_epochs: as a `ComputeSchedule`'s.
        growing_share: share of a job's budget, that it spends at most before its last
            change of widths.
    """
    whole = [ComputeSchedule(t, seed_macs, training_epochs, 1.0) for t in targets]
    fewest = min(job.passes for job in whole)
    least = min(job.estimating for job in whole)
    return tuple(
        replace(
            job,
            growing_share=growing_share * (fewest / job.passes),
            estimating_share=ESTIMATING_SHARE * (least / job.estimating),
        )
        for job in whole
    )


def divided(total: int, steps: int) -> Length:
    """So many batches in even epochs, as few as that takes without leaving many out.

    What is left out is not lost: the last phase of a job gets it.

    Args:
        total: batches.
        steps: batches in the data; no epoch is longer.
    """
    if not total:
        return Length(0, steps)
    fewest = -(-total // steps)
    epochs = min(range(fewest, 2 * fewest + 1), key=lambda n: (total % n, n))
    return Length(epochs, total // epochs)


def round_targets(
    macs: float, target: float, *, rounds: int | None, growth: float
) -> tuple[float, ...]:
    """Budgets of rounds that grow, or shrink, by one ratio up to the target.

    Args:
        macs: that the first round starts from.
        target: of the last one.
        rounds: how many; None: as many as `growth` asks for.
        growth: ratio of a round's MACs after it to those before, or the inverse.

    Raises:
        SplittingError: a number is out of range.
    """
    arguments.whole("rounds", rounds, at_least=1, or_none=True)
    arguments.number("growth", growth, above=1)
    if rounds is None:
        ratio = abs(math.log(target / macs)) / math.log(growth)
        rounds = max(1, math.ceil(ratio - 1e-9))
    ratio = (target / macs) ** (1 / rounds)
    return (*(macs * ratio**k for k in range(1, rounds)), float(target))
