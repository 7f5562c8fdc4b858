"""Accuracy, loss, cost and latency of a `.keras` file or a SavedModel folder.

    python tools/evaluate.py --model=runs/mobilenet_v2/grown.keras
    python tools/evaluate.py --model=runs/mobilenet_v2/saved_model --batch_size=64

Of all members of a family, in a table:

    python tools/evaluate.py runs/family
"""

import _bootstrap  # noqa: F401
import _program

from flags import data
from flags import model as model_flags

JOB = "_evaluation"
FLAGS = (model_flags, data)


def check() -> None:
    """Raises `UsageError` if a flag is missing."""
    _program.require(
        model_flags.MODEL, "a .keras file, a SavedModel folder, or that of a family"
    )


if __name__ == "__main__":
    _program.run(check, JOB, FLAGS, argument=model_flags.MODEL.name)
