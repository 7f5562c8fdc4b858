"""The job of `reallocate`."""

from typing import Any

import keras

from tf_splitting import reallocate, trace
from tf_splitting.growing import ReallocateArguments, check_reallocatable
from tf_splitting_programs.flags import adding, removing, widths
from tf_splitting_programs.jobs import training_job
from tf_splitting_programs.running import Call


def run(call: Call) -> None:
    """Runs the job; see `training_job.run`."""
    training_job.run(
        training_job.Kind("reallocated.keras", _check, lambda: None, _train), call
    )


def _check(model: keras.Model) -> None:
    graph = trace(model, split_untrainable=widths.SPLIT_UNTRAINABLE.value)
    check_reallocatable(model, graph, ReallocateArguments(**_reallocation()))


def _train(job: training_job.Setting) -> keras.Model:
    return reallocate(job.model, job.images, **_reallocation(), **job.common)


def _reallocation() -> dict[str, Any]:
    """The arguments of `reallocate` that the flags say."""
    return {
        **training_job.given(ReallocateArguments, own_sample=True),
        "min_widths": removing.MIN_WIDTH.value,
        "max_widths": adding.MAX_WIDTH.value,
    }
