"""The norm of a neuron's incoming weights: small ones are thought to matter little.

Source: Li, Kadav, Durdanovic, Samet, Graf, "Pruning Filters for Efficient ConvNets",
2017, arXiv 1608.08710 (there by absolute values, which choose nearly alike).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tf_splitting.estimating.removals.silencing import Silencing
from tf_splitting.tracing import as_numpy


@dataclass(frozen=True)
class WeightNorm:
    """Euclidean norm of incoming weights, over all producers of a neuron.

    It needs no data, and knows nothing of the loss: norms of layers of different
    sizes are hardly comparable.

    Example:
        >>> scores = tf_splitting.estimate_removals(
        ...     model, (x, y), estimator=tf_splitting.WeightNorm()
        ... )
    """

    @property
    def passes(self) -> int:
        """None over the sample."""
        return 0

    @property
    def steps(self) -> float:
        """In training steps."""
        return 0.0

    def costs(self, silencing: Silencing) -> np.ndarray:
        """The norms, `[neurons]`."""
        neurons = silencing.neurons
        squares = np.zeros(neurons.count)
        for slot in neurons.slots:
            if slot.role == "produced":
                kernel = as_numpy(slot.variable)
                squares += slot.sum(np.square(kernel), neurons.count)
        return np.sqrt(squares)
