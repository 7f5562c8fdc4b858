"""The job of `reallocate.py`."""

from typing import Any

import _job
import keras

from flags import adding, removing, widths
from tf_splitting import reallocate, trace
from tf_splitting.growing import ReallocateArguments, check_reallocatable


def run() -> None:
    """Runs the job; see `_job.run`."""
    _job.run(_job.Kind("reallocated.keras", _check, lambda: None, _train))


def _check(model: keras.Model) -> None:
    graph = trace(model, split_untrainable=widths.SPLIT_UNTRAINABLE.value)
    check_reallocatable(model, graph, ReallocateArguments(**_reallocation()))


def _train(job: _job.Setting) -> keras.Model:
    return reallocate(job.model, job.images, **_reallocation(), **job.common)


def _reallocation() -> dict[str, Any]:
    """The arguments of `reallocate` that the flags say."""
    return {
        **_job.given(ReallocateArguments, own_sample=True),
        "min_widths": removing.MIN_WIDTH.value,
        "max_widths": adding.MAX_WIDTH.value,
    }
