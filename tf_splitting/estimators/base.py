"""What every estimator is: a small object that finds minimum eigenvectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np

from tf_splitting.estimators.problem import SplittingProblem
from tf_splitting.neurons import Field


class Eigenpairs(NamedTuple):
    """Minimum eigenvalue of every neuron `[neurons]` and its unit eigenvector.

    `matrices` holds the splitting matrices by space, `[width, weights, weights]`, if
    the estimator has them.
    """

    values: np.ndarray
    vectors: Field
    matrices: Mapping[str, np.ndarray] | None = None


class Estimator(Protocol):
    """Finds, for every neuron, the splitting index and the splitting direction.

    An estimator is a settings object: `solve` keeps no state between calls, and
    `outgoing` says whether a neuron's outgoing weights belong to its direction.
    Adding one is a new file with a class of this shape, one export in
    `tf_splitting/estimators/__init__.py`, and one row in
    `tests/estimators/test_estimator_contract.py`.
    """

    outgoing: bool

    def solve(self, problem: SplittingProblem, seed: int) -> Eigenpairs:
        """Minimum eigenpairs of all splitting matrices of the problem."""
        ...

    def products(self, problem: SplittingProblem) -> int:
        """How many batch products `solve` will take, for the time left."""
        ...
