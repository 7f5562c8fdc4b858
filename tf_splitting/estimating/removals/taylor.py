"""How much the loss depends on a neuron, to first order and whatever the direction.

Source: Molchanov, Mallya, Tyree, Frosio, Kautz, "Importance Estimation for Neural
Network Pruning", 2019, arXiv 1906.10771: a gate behind every neuron, and the square of
the loss's derivative by it, averaged over mini-batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tf_splitting.estimating.removals.silencing import PASS_STEPS, Silencing


@dataclass(frozen=True)
class Taylor:
    """The square of a batch's first-order change, averaged over batches.

    Example:
        >>> scores = tf_splitting.estimate_removals(
        ...     model, (x, y), estimator=tf_splitting.Taylor()
        ... )
    """

    @property
    def passes(self) -> int:
        """Over the sample."""
        return 1

    @property
    def steps(self) -> float:
        """In training steps."""
        return PASS_STEPS

    def costs(self, silencing: Silencing) -> np.ndarray:
        """Mean squares, `[neurons]`."""
        return np.square(silencing.silenced(fold=False).batches).mean(0)
