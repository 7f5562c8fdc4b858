"""Trains a model and removes the neurons that matter least, down to a MACs budget.

    python tools/shrink.py --model=wide.keras --target_macs=50e6

A model that is trained already needs little training before:

    python tools/shrink.py --model=trained.keras --target_macs=50e6 --rounds=1 \\
        --epochs=0 --final_epochs=10 --dataset=cifar100

Writes to --workdir: shrunk.keras, saved_model/ (unless --noexport), history.json,
growth.png, report.html, flags.txt, checkpoints/, and TensorBoard events under logs/.

A job that was killed goes on with the same command and its --workdir. SIGTERM and
SIGINT stop it after the step it is at, saved, with exit code 75; a second one at once.
"""

import _bootstrap  # noqa: F401
import _program

from flags import (
    builtin,
    data,
    devices,
    job,
    removing,
    sampling,
    shrinking,
    target,
    training,
    weights,
    widths,
)
from flags import model as model_flags

JOB = "_shrinking_job"
FLAGS = (
    model_flags,
    target,
    widths,
    shrinking,
    removing,
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
    _program.require(target.TARGET_MACS, "MACs per image, such as 0.2e9")
    if len(target.targets()) > 1:
        raise _program.UsageError(
            "--target_macs: a model shrinks to one target; give one number."
        )
    if devices.PROCESSES.value > 1:
        _program.require(job.WORKDIR, "the folder that all processes share")


if __name__ == "__main__":
    _program.run(check, JOB, FLAGS)
