"""The job of `shrink.py`."""

from typing import Any

import _job
import keras

from flags import removing, shrinking, target, widths
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

ESTIMATORS = {
    "normalization_scale": NormalizationScale,
    "taylor": Taylor,
    "weight_norm": WeightNorm,
}


def run() -> None:
    """Runs the job; see `_job.run`."""
    _job.run(_job.Kind("shrunk.keras", _check, _target, _train))


def _check(model: keras.Model) -> None:
    graph = trace(model, split_untrainable=widths.SPLIT_UNTRAINABLE.value)
    check_shrinkable(model, graph, ShrinkArguments(**_shrinkage()))


def _target() -> str:
    return f"{format_count(target.TARGET_MACS.value)} MACs"


def _train(job: _job.Setting) -> keras.Model:
    return shrink(job.model, job.images, **_shrinkage(), **job.common)


def _shrinkage() -> dict[str, Any]:
    """The arguments of `shrink` that the flags say."""
    name = shrinking.SCORE.value
    fold = removing.FOLD.value
    return {
        **_job.given(ShrinkArguments, own_sample=True),
        "rounds": widths.ROUNDS.value or None,
        "min_widths": removing.MIN_WIDTH.value,
        "estimator": ESTIMATORS[name]() if name in ESTIMATORS else SecondOrder(fold),
    }
