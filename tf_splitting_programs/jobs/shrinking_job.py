"""The job of `shrink`."""

from typing import Any

import keras

from tf_splitting import (
    NormalizationScale,
    SecondOrder,
    Taylor,
    WeightNorm,
    shrink,
    trace,
)
from tf_splitting.growing import ShrinkArguments, check_shrinkable
from tf_splitting.support import format_count
from tf_splitting_programs.flags import removing, shrinking, target, widths
from tf_splitting_programs.jobs import training_job
from tf_splitting_programs.running import Call

ESTIMATORS = {
    "normalization_scale": NormalizationScale,
    "taylor": Taylor,
    "weight_norm": WeightNorm,
}


def run(call: Call) -> None:
    """Runs the job; see `training_job.run`."""
    training_job.run(training_job.Kind("shrunk.keras", _check, _target, _train), call)


def _check(model: keras.Model) -> None:
    graph = trace(model, split_untrainable=widths.SPLIT_UNTRAINABLE.value)
    check_shrinkable(model, graph, ShrinkArguments(**_shrinkage()))


def _target() -> str:
    return f"{format_count(target.TARGET_MACS.value)} MACs"


def _train(job: training_job.Setting) -> keras.Model:
    return shrink(job.model, job.images, **_shrinkage(), **job.common)


def _shrinkage() -> dict[str, Any]:
    """The arguments of `shrink` that the flags say."""
    name = shrinking.SCORE.value
    fold = removing.FOLD.value
    return {
        **training_job.given(ShrinkArguments, own_sample=True),
        "rounds": widths.ROUNDS.value or None,
        "min_widths": removing.MIN_WIDTH.value,
        "estimator": ESTIMATORS[name]() if name in ESTIMATORS else SecondOrder(fold),
    }
