"""Exports a `.keras` file, and checks that the result computes the same.

    python tools/export.py --model=grown.keras --format=saved_model,tflite \
        --output=exported

Writes `saved_model/` and `model.tflite`. Outputs are compared on random images: a
SavedModel's may differ by 1e-5 of the largest output, a LiteRT model's by 1e-3. What
differs by more is an error, and the file does not appear.
"""

import _bootstrap  # noqa: F401
import _program

from flags import exporting
from flags import model as model_flags

JOB = "_export_job"
FLAGS = (model_flags, exporting)


def check() -> None:
    """Raises `UsageError` if a flag is missing."""
    _program.require(model_flags.MODEL, "a .keras file")
    _program.require(exporting.OUTPUT, "a folder")
    if not exporting.FORMAT.value:
        raise _program.UsageError(
            "--format is empty: give saved_model, tflite or both."
        )


if __name__ == "__main__":
    _program.run(check, JOB, FLAGS)
