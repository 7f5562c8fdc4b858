"""`export`."""

from tf_splitting_programs.flags import exporting
from tf_splitting_programs.flags import model as model_flags
from tf_splitting_programs.running import Example, Program, UsageError, require


def check() -> None:
    """Raises `UsageError` if a flag is missing."""
    require(model_flags.MODEL, "a .keras file")
    require(exporting.OUTPUT, "a folder")
    if not exporting.FORMAT.value:
        raise UsageError("--format is empty: give saved_model, tflite or both.")


PROGRAM = Program(
    summary="Exports a .keras file, and checks that the result computes the same.",
    examples=(
        Example("--model=grown.keras --format=saved_model,tflite --output=exported"),
    ),
    notes="""
Writes saved_model/ and model.tflite. Outputs are compared on random images: a
SavedModel's may differ by 1e-5 of the largest output, a LiteRT model's by 1e-3. What
differs by more is an error, and the file does not appear.
""",
    check=check,
    job="tf_splitting_programs.jobs.export_job",
    topics=(model_flags, exporting),
    most_used=(
        model_flags.MODEL,
        exporting.FORMAT,
        exporting.OUTPUT,
    ),
)
