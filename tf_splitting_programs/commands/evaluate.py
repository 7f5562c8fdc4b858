"""`evaluate`."""

from tf_splitting_programs.flags import data
from tf_splitting_programs.flags import model as model_flags
from tf_splitting_programs.running import Example, Program, require


def check() -> None:
    """Raises `UsageError` if a flag is missing."""
    require(
        model_flags.MODEL, "a .keras file, a SavedModel folder, or that of a family"
    )


PROGRAM = Program(
    summary="Accuracy, loss, cost and latency of a .keras file or a SavedModel folder.",
    examples=(
        Example("runs/mobilenet_v2/grown.keras"),
        Example("runs/mobilenet_v2/saved_model --batch_size=64"),
        Example("runs/family", "Of all members of a family, in a table:"),
    ),
    notes="""
Latency is the median of some seconds' calls on one batch, of one image and of
--batch_size.
""",
    check=check,
    job="tf_splitting_programs.jobs.evaluation",
    topics=(model_flags, data),
    most_used=(
        model_flags.MODEL,
        data.DATASET,
        data.DATA_DIR,
        data.TEST_LIMIT,
        data.BATCH_SIZE,
    ),
    argument=model_flags.MODEL,
)
