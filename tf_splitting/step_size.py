"""How far a split moves: a fixed relative step, or the descent ladder."""

from __future__ import annotations

import keras

from tf_splitting.batch_statistics import reestimate_batch_statistics
from tf_splitting.errors import SplittingError
from tf_splitting.measuring import measure
from tf_splitting.rebuilding import Splitting
from tf_splitting.sampling import Sample

LADDER = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01)


def check_epsilon(epsilon: float | str) -> None:
    """Raises unless epsilon is a positive number or "descent".

    Raises:
        SplittingError: it is neither.
    """
    if epsilon == "descent":
        return
    if isinstance(epsilon, (int, float)) and 0 < epsilon < float("inf"):
        return
    raise SplittingError(
        f'Got epsilon={epsilon!r}; expected a positive number or "descent". With '
        "epsilon 0 the copies would receive the same gradients and never separate."
    )


def build_at(
    splitting: Splitting,
    epsilon: float | str,
    sample: Sample,
    loss_before: float,
) -> tuple[keras.Model, float, dict[str, float]]:
    """Builds the grown model at a step.

    Args:
        splitting: the plan, worked out.
        epsilon: the step, or "descent" for the largest step of `LADDER` at which the
            loss on the sample is no higher than before (its smallest if none is).
        sample: what the loss is measured on.
        loss_before: loss of the model before the split.

    Returns:
        The model, the step taken, and loss and metrics on the sample after it.

    A fixed step may be large: batch statistics are estimated anew behind it. The
    ladder keeps them, because it looks for the step that hardly changes the function.
    """
    if epsilon != "descent":
        model = splitting.build(float(epsilon))
        reestimate_batch_statistics(model, sample)
        return model, float(epsilon), measure(model, sample)
    model = splitting.build(LADDER[0])
    for step in LADDER:
        splitting.set_weights(step)
        after = measure(model, sample)
        if after["loss"] <= loss_before:
            break
    return model, step, after
