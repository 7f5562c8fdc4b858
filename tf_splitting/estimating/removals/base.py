"""What every estimator of removals is: a small object that tells what neurons cost."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from tf_splitting.estimating.removals.silencing import Silencing


class RemovalEstimator(Protocol):
    """Tells for every neuron what the loss rises by without it, or a stand-in for that.

    An estimator is a settings object that keeps no state between calls. Adding one is a
    new file with a class of this shape, one export in
    `tf_splitting/estimating/__init__.py`, and one row in
    `tests/estimating/test_removal_contract.py`.
    """

    def costs(self, silencing: Silencing) -> np.ndarray:
        """What removing each neuron costs, `[neurons]`; infinite: it has to stay.

        Args:
            silencing: the model, its neurons, a sample, and what silence does to its
                loss.
        """
        ...

    @property
    def passes(self) -> int:
        """How often `costs` goes over the sample."""
        ...

    @property
    def steps(self) -> float:
        """What `costs` takes, in training steps over the same examples."""
        ...
