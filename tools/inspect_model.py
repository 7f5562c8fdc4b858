"""Shows a model's channel spaces: what may grow, and why the rest may not.

    python tools/inspect_model.py --model=mobilenet_v2
    python tools/inspect_model.py --model=ResNet50
    python tools/inspect_model.py --model=runs/mobilenet_v2/grown.keras --scores

`--model` is a built-in model, a `.keras` file, a network of keras.applications, or a
preset of KerasHub or its folder.
"""

import _bootstrap  # noqa: F401
import _program

from flags import builtin, data, estimating, inspecting, sampling, weights
from flags import model as model_flags

JOB = "_inspection"
FLAGS = (model_flags, inspecting, data, estimating, sampling, builtin, weights)


def check() -> None:
    """Raises `UsageError` if a flag is missing."""
    _program.require(model_flags.MODEL, "a name or a .keras file")


if __name__ == "__main__":
    _program.run(check, JOB, FLAGS)
