"""How far a split moves: a fixed step, the descent ladder, or fresh neurons."""

from __future__ import annotations

import keras

from tf_splitting.data import Sample
from tf_splitting.rebuilding import FRESH, Splitting, check_step
from tf_splitting.support import Stopwatch
from tf_splitting.training import measure, reestimate_batch_statistics

DESCENT = "descent"
LADDER = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01)


def check_epsilon(epsilon: float | str) -> None:
    """Raises unless epsilon is a number above 0, "descent" or "fresh".

    Raises:
        SplittingError: it is none of them.
    """
    check_step(epsilon, DESCENT, FRESH, above_zero=True)


def build_at(
    splitting: Splitting,
    epsilon: float | str,
    sample: Sample,
    loss_before: float,
    watch: Stopwatch | None = None,
) -> tuple[keras.Model, float | str, dict[str, float]]:
    """Builds the grown model at a step.

    Args:
        splitting: the plan, worked out (with `fresh` set for "fresh").
        epsilon: the step; "descent" for the largest step of `LADDER` at which the loss
            on the sample is no higher than before (its smallest if none is); "fresh".
        sample: what the loss is measured on.
        loss_before: loss of the model before the split.
        watch: runs while something is measured, if anybody wants to know.

    Returns:
        The model, the step taken, and loss and metrics on the sample after it.

    A fixed step may be large, and fresh neurons are new to the layers behind them:
    batch statistics are estimated anew. The ladder keeps them, because it looks for the
    step that hardly changes the function.
    """
    watch = watch or Stopwatch()
    if epsilon != DESCENT:
        model = splitting.build(1.0 if epsilon == FRESH else float(epsilon))
        with watch:
            reestimate_batch_statistics(model, sample)
            return model, epsilon, measure(model, sample)
    model = splitting.build(LADDER[0])
    for step in LADDER:
        splitting.set_weights(step)
        with watch:
            after = measure(model, sample)
        if after["loss"] <= loss_before:
            break
    return model, step, after
