"""The scale that a normalization gives a neuron: small ones are thought to do little.

Source: Liu et al., "Learning Efficient Convolutional Networks through Network
Slimming", 2017, arXiv 1708.06519. There an L1 penalty on the scales while training
pushes those to zero that are not needed; without it they say less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tf_splitting.errors import ModelError
from tf_splitting.estimating.removals.silencing import Silencing
from tf_splitting.tracing import as_numpy
from tf_splitting.tracing import layout as lay


@dataclass(frozen=True)
class NormalizationScale:
    """|γ|, summed over the batch normalizations that a neuron passes.

    Neurons that pass none have to stay.

    Example:
        >>> scores = tf_splitting.estimate_removals(
        ...     model, (x, y), estimator=tf_splitting.NormalizationScale()
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
        """The scales, `[neurons]`.

        Raises:
            ModelError: no neuron passes a normalization with a scale.
        """
        neurons, graph = silencing.neurons, silencing.graph
        numbers = {space.name: np.full(space.width, -1) for space in graph.spaces}
        for space in graph.growable:
            start = neurons.offsets[space.name]
            numbers[space.name] = np.arange(start, start + space.width)
        scales, found = np.zeros(neurons.count), np.zeros(neurons.count, bool)
        for weight in graph.weights:
            if not weight.name.endswith("/gamma"):
                continue
            for use in weight.axes:
                ids = lay.spread(use.layout, numbers)
                scales += neurons.add_up(ids, np.abs(as_numpy(weight.variable)))
                found[ids[ids >= 0]] = True
        if not found.any():
            raise ModelError(
                f"No neuron of model {graph.name!r} passes a normalization with a "
                "scale; expected one at least. Take another estimator, such as "
                "SecondOrder()."
            )
        return np.where(found, scales, np.inf)
