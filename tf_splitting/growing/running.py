"""Jobs, from their arguments to their end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import keras

from tf_splitting.growing.arguments import JobArguments, RoundsArguments
from tf_splitting.growing.grow_arguments import GrowArguments
from tf_splitting.growing.preparing import opened_job
from tf_splitting.growing.rounds import Job
from tf_splitting.growing.trunk import Branch, Trunk
from tf_splitting.support import format_count
from tf_splitting.training import EpochSchedule, Schedule, compute_schedules


def run_rounds(
    model: keras.Model,
    dataset: Any,
    arguments: RoundsArguments,
    targets: tuple[float, ...],
    macs: float,
    share: float,
) -> keras.Model:
    """Runs a job that changes widths in rounds.

    Args:
        model: what it starts from.
        dataset: what it is trained on.
        arguments: see `run_job`.
        targets: MACs after each round.
        macs: of the model.
        share: of `training_epochs`, that is spent before the last round.
    """
    (schedule,) = schedules(arguments, [targets], macs, share)
    return run_job(model, dataset, arguments, schedule)


def run_family(
    model: keras.Model,
    dataset: Any,
    arguments: GrowArguments,
    targets: Sequence[tuple[float, ...]],
    macs: float,
    handed_out: Callable[[keras.Model], keras.Model],
) -> tuple[keras.Model, ...]:
    """Runs a job that grows several models, one out of the other; see `run_rounds`.

    Args:
        model, dataset, arguments, macs: see `run_rounds`.
        targets: for each member, MACs after each of the rounds that lead to it.
        handed_out: makes of a finished member what its user gets.
    """
    *to_members, whole = schedules(arguments, targets, macs, arguments.growing_share)
    with opened_job(model, dataset, arguments, whole) as parts:
        branches = []
        for target, schedule in zip(arguments.targets, to_members):
            name = f"member of {format_count(target)} MACs"
            alone = replace(arguments, target_macs=target, on_member=None, history=None)
            job = Job(name=name, **parts.of(alone, schedule, f"member-{target:.15g}"))
            grown = len(schedule.targets) - arguments.reallocations
            planned = schedule.remaining(schedule.planned(grown))
            branches.append(Branch(target, job, planned))
        trunk = Trunk(
            branches=tuple(branches),
            handed_out=handed_out,
            **parts.of(arguments, whole),
        )
        trunk.run(model)
        return tuple(trunk.members)


def schedules(
    arguments: RoundsArguments,
    targets: Sequence[tuple[float, ...]],
    macs: float,
    share: float,
) -> tuple[Schedule, ...]:
    """How jobs are laid out that are one up to where they part.

    Args:
        arguments: of all of them.
        targets: of each, MACs after each round.
        macs: of the model that they start from.
        share: of `training_epochs`, that one spends at most before its last round.
    """
    if arguments.training_epochs is None:
        return tuple(EpochSchedule(each, **arguments.lengths) for each in targets)
    return compute_schedules(targets, macs, arguments.training_epochs, share)


def run_job(
    model: keras.Model, dataset: Any, arguments: JobArguments, schedule: Schedule
) -> keras.Model:
    """Runs a job, from where it was saved if it was.

    Args:
        model: what it starts from.
        dataset: what it is trained on.
        arguments: their class says what kind of job it is.
        schedule: its rounds and epochs.
    """
    with opened_job(model, dataset, arguments, schedule) as parts:
        return Job(**parts.of(arguments, schedule)).run(model)
