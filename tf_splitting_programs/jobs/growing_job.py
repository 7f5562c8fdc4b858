"""The job of `grow`."""

from typing import Any

import keras

from tf_splitting import grow, trace, train
from tf_splitting.estimating import Estimator
from tf_splitting.growing import GrowArguments, TrainArguments, check_budgets
from tf_splitting.support import format_count
from tf_splitting_programs.flags import (
    adding,
    estimating,
    growing,
    target,
    training,
    widths,
)
from tf_splitting_programs.jobs import comparison, estimators, family, training_job
from tf_splitting_programs.jobs.stages import GROWN, stage
from tf_splitting_programs.running import Call


def run(call: Call) -> None:
    """Runs the job; see `training_job.run`."""
    if len(target.targets()) > 1:
        stages = [stage(macs) for macs in target.targets()[:-1]]
        training_job.run(
            training_job.Kind(
                comparison.FAMILY,
                _check,
                _target,
                _grow_family,
                lambda result, job: comparison.report(job),
                stages,
            ),
            call,
        )
    else:
        training_job.run(training_job.Kind(GROWN, _check, _target, _train), call)


def _check(model: keras.Model) -> None:
    if growing.GROW.value:
        graph = trace(model, split_untrainable=widths.SPLIT_UNTRAINABLE.value)
        arguments = GrowArguments(**_growth())
        check_budgets(model, graph, arguments.targets, arguments.selection)


def _target() -> str | None:
    if not growing.GROW.value:
        return None
    return ", ".join(f"{format_count(macs)} MACs" for macs in target.targets())


def _train(job: training_job.Setting) -> keras.Model:
    if growing.GROW.value:
        return grow(job.model, job.images, **_growth(), **job.common)
    given = training_job.given(TrainArguments)
    if training.TRAINING_EPOCHS.value is None:
        given["epochs"] = training.FINAL_EPOCHS.value
    return train(job.model, job.images, **given, **job.common)


def _grow_family(job: training_job.Setting) -> tuple[keras.Model, ...]:
    return grow(
        job.model,
        job.images,
        on_member=lambda model, member: family.write_member(model, member, job),
        **_growth(),
        **job.common,
    )


def _growth() -> dict[str, Any]:
    """The arguments of `grow` that the flags say."""
    return {
        **training_job.given(GrowArguments),
        "rounds": _rounds(),
        "max_widths": adding.MAX_WIDTH.value,
        "estimator": _estimator(),
    }


def _rounds() -> int | None:
    """Rounds on the way to each target; None: as many as the ratio of one takes."""
    if len(target.targets()) > 1 and not widths.ROUNDS.present:
        return None
    return widths.ROUNDS.value or None


def _estimator() -> Estimator | None:
    """The estimator asked for; None where the method takes none."""
    if growing.METHOD.value != "splitting" and not estimating.ESTIMATOR.present:
        return None
    return estimators.chosen()
