"""`shrink`."""

from tf_splitting_programs.commands.training_jobs import check_folder, writes
from tf_splitting_programs.flags import (
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
from tf_splitting_programs.flags import model as model_flags
from tf_splitting_programs.running import Example, Program, UsageError, require


def check() -> None:
    """What the flags alone can tell.

    Raises:
        UsageError: a flag is missing.
    """
    require(model_flags.MODEL, "a .keras file, mobilenet_v1 or ResNet50")
    require(target.TARGET_MACS, "MACs per image, such as 0.2e9")
    if len(target.targets()) > 1:
        raise UsageError(
            "--target_macs: a model shrinks to one target; give one number."
        )
    check_folder()


PROGRAM = Program(
    summary=(
        "Trains a model and removes the neurons that matter least, down to a MACs "
        "budget."
    ),
    examples=(
        Example("--model=wide.keras --target_macs=50e6"),
        Example(
            "--model=trained.keras --target_macs=50e6 --rounds=1 --epochs=0 "
            "--final_epochs=10 --dataset=cifar100",
            "A model that is trained already needs little training before:",
        ),
    ),
    notes=writes("shrunk.keras"),
    check=check,
    job="tf_splitting_programs.jobs.shrinking_job",
    topics=(
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
    ),
    most_used=(
        model_flags.MODEL,
        target.TARGET_MACS,
        data.DATASET,
        training.EPOCHS,
        training.FINAL_EPOCHS,
        widths.ROUNDS,
        job.WORKDIR,
    ),
)
