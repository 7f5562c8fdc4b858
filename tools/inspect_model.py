"""Shows a model's channel spaces: what may grow, and why the rest may not.

    python tools/inspect_model.py --model=mobilenet_v2
    python tools/inspect_model.py --model=ResNet50
    python tools/inspect_model.py --model=runs/mobilenet_v2/grown.keras --scores

`--model` is a built-in model, a `.keras` file, or a class of keras.applications.
"""

import _bootstrap  # noqa: F401
import _program

from flags import builtin, data, estimating, inspecting
from flags import model as model_flags

FLAGS = (model_flags, inspecting, data, estimating, builtin)


def main() -> None:
    """Prints the tables."""
    _program.require(model_flags.MODEL, "a name or a .keras file")
    # Imports TensorFlow, which `--help` and mistyped flags need not wait for.
    import _inspection

    _inspection.run()


if __name__ == "__main__":
    _program.run(main, FLAGS)
