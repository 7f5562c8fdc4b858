"""`reallocate`."""

from tf_splitting_programs.commands.training_jobs import check_folder, writes
from tf_splitting_programs.flags import (
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
from tf_splitting_programs.flags import model as model_flags
from tf_splitting_programs.running import Example, Program, require


def check() -> None:
    """What the flags alone can tell.

    Raises:
        UsageError: a flag is missing.
    """
    require(model_flags.MODEL, "a .keras file, mobilenet_v1 or ResNet50")
    check_folder()


PROGRAM = Program(
    summary=(
        "Trains a model and moves its neurons to where they gain more, its MACs kept."
    ),
    examples=(
        Example("--model=uneven.keras"),
        Example(
            "--model=trained.keras --rounds=1 --epochs=0 --final_epochs=10 "
            "--dataset=cifar100",
            "A model that is trained already needs little training before:",
        ),
    ),
    notes=writes("reallocated.keras"),
    check=check,
    job="tf_splitting_programs.jobs.reallocating_job",
    topics=(
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
    ),
    most_used=(
        model_flags.MODEL,
        data.DATASET,
        reallocating.MOVED,
        training.EPOCHS,
        training.FINAL_EPOCHS,
        widths.ROUNDS,
        job.WORKDIR,
    ),
)
