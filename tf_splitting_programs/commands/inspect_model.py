"""`inspect`."""

from tf_splitting_programs.flags import (
    builtin,
    data,
    estimating,
    inspecting,
    sampling,
    weights,
)
from tf_splitting_programs.flags import model as model_flags
from tf_splitting_programs.running import Example, Program, require


def check() -> None:
    """Raises `UsageError` if a flag is missing."""
    require(model_flags.MODEL, "a name or a .keras file")


PROGRAM = Program(
    summary="Shows a model's channel spaces: what may grow, and why the rest may not.",
    examples=(
        Example("--model=mobilenet_v2"),
        Example("--model=ResNet50"),
        Example("--model=runs/mobilenet_v2/grown.keras --scores"),
    ),
    notes="""
--model is a built-in model, a .keras file, a network of keras.applications, or a
preset of KerasHub or its folder.
""",
    check=check,
    job="tf_splitting_programs.jobs.inspection",
    topics=(model_flags, inspecting, data, estimating, sampling, builtin, weights),
    most_used=(
        model_flags.MODEL,
        model_flags.IMAGE_SIZE,
        inspecting.SCORES,
        data.DATASET,
    ),
)
