"""Trains a model and moves its neurons to where they gain more, its MACs kept.

    python tools/reallocate.py --model=uneven.keras

A model that is trained already needs little training before:

    python tools/reallocate.py --model=trained.keras --rounds=1 --epochs=0 \\
        --final_epochs=10 --dataset=cifar100

Writes to --workdir: reallocated.keras, saved_model/ (unless --noexport), history.json,
growth.png, report.html, flags.txt, checkpoints/, and TensorBoard events under logs/.

A job that was killed goes on with the same command and its --workdir. SIGTERM and
SIGINT stop it after the step it is at, saved, with exit code 75; a second one at once.
"""

import _bootstrap  # noqa: F401
import _program

from flags import (
    adding,
    builtin,
    data,
    devices,
    job,
    reallocating,
    removing,
    sampling,
    training,
    weights,
    widths,
)
from flags import model as model_flags

JOB = "_reallocating_job"
FLAGS = (
    model_flags,
    widths,
    reallocating,
    removing,
    adding,
    data,
    training,
    sampling,
    job,
    devices,
    builtin,
    weights,
)


def check() -> None:
    """What the flags alone can tell.

    Raises:
        UsageError: a flag is missing.
    """
    _program.require(model_flags.MODEL, "a .keras file, mobilenet_v1 or ResNet50")
    if devices.PROCESSES.value > 1:
        _program.require(job.WORKDIR, "the folder that all processes share")


if __name__ == "__main__":
    _program.run(check, JOB, FLAGS)
