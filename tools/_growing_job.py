"""The job of `grow.py`."""

from typing import Any

import _estimators
import _job
import keras

from flags import adding, estimating, growing, target, training, widths
from tf_splitting import grow, trace, train
from tf_splitting.data import ImageData
from tf_splitting.estimating import Estimator
from tf_splitting.growing import GrowArguments, TrainArguments, check_budgets
from tf_splitting.support import format_count


def run() -> None:
    """Runs the job; see `_job.run`."""
    _job.run(_job.Kind("grown.keras", _check, _target, _train))


def _check(model: keras.Model) -> None:
    if growing.GROW.value:
        graph = trace(model, split_untrainable=widths.SPLIT_UNTRAINABLE.value)
        arguments = GrowArguments(**_growth())
        check_budgets(model, graph, arguments.targets, arguments.selection)


def _target() -> str | None:
    if not growing.GROW.value:
        return None
    return f"{format_count(target.TARGET_MACS.value)} MACs"


def _train(
    model: keras.Model, images: ImageData, common: dict[str, Any]
) -> keras.Model:
    if growing.GROW.value:
        return grow(model, images, **_growth(), **common)
    given = _job.given(TrainArguments)
    if training.TRAINING_EPOCHS.value is None:
        given["epochs"] = training.FINAL_EPOCHS.value
    return train(model, images, **given, **common)


def _growth() -> dict[str, Any]:
    """The arguments of `grow` that the flags say."""
    return {
        **_job.given(GrowArguments),
        "rounds": widths.ROUNDS.value or None,
        "max_widths": adding.MAX_WIDTH.value,
        "estimator": _estimator(),
    }


def _estimator() -> Estimator | None:
    """The estimator asked for; None where the method takes none."""
    if growing.METHOD.value != "splitting" and not estimating.ESTIMATOR.present:
        return None
    return _estimators.chosen()
