"""What the loss rises by when a neuron is really taken out, to second order.

With s_n the first-order change of example n's loss (`silencing`), the loss changes by

    E[s] + ½ E[s²]

where the mean of squares stands for the curvature: for losses that are negative
log-likelihoods of a model that fits, the covariance of gradients is the Hessian (the
Fisher information). What is taken out is the neuron's output behind its whole tail, so
that bends of activations count in full.

Source: Theis, Korshunova, Tejani, Huszár, "Faster gaze prediction with dense networks
and Fisher pruning", 2018, arXiv 1801.05787; folded means: `rebuilding/folding.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tf_splitting.estimating.removals.silencing import (
    MEANS_STEPS,
    PASS_STEPS,
    Silencing,
)
from tf_splitting.support import truth


@dataclass(frozen=True)
class SecondOrder:
    """The predicted rise of the loss, in its own units.

    Args:
        fold: predict for neurons whose mean outputs stay, as `remove` with a dataset
            has it.

    Raises:
        SplittingError: the argument is neither true nor false.

    Example:
        >>> scores = tf_splitting.estimate_removals(model, (x, y))
    """

    # Costs are rises of the loss.
    predicts: ClassVar[bool] = True

    fold: bool = True

    def __post_init__(self) -> None:
        truth("fold", self.fold)

    @property
    def passes(self) -> int:
        """Over the sample."""
        return 1 + self.fold

    @property
    def steps(self) -> float:
        """In training steps."""
        return PASS_STEPS + MEANS_STEPS * self.fold

    def costs(self, silencing: Silencing) -> np.ndarray:
        """Predicted rises of the loss, `[neurons]`."""
        silenced = silencing.silenced(fold=self.fold)
        return silenced.first + 0.5 * silenced.second
