"""The job of `shrink.py`."""

from typing import Any

import _job
import keras

from flags import removing, sampling, shrinking, target, widths
from tf_splitting import (
    NormalizationScale,
    SecondOrder,
    Taylor,
    WeightNorm,
    shrink,
    trace,
)
from tf_splitting.data import ImageData
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


def _train(
    model: keras.Model, images: ImageData, common: dict[str, Any]
) -> keras.Model:
    return shrink(model, images, **_shrinkage(), **common)


def _shrinkage() -> dict[str, Any]:
    """The arguments of `shrink` that the flags say."""
    given = _job.given(ShrinkArguments)
    if not sampling.SAMPLE_SIZE.present:
        # Its default is that of splitting, which costs more.
        given.pop(sampling.SAMPLE_SIZE.name, None)
    name = shrinking.SCORE.value
    fold = removing.FOLD.value
    return {
        **given,
        "rounds": widths.ROUNDS.value or None,
        "min_widths": removing.MIN_WIDTH.value,
        "estimator": ESTIMATORS[name]() if name in ESTIMATORS else SecondOrder(fold),
    }
