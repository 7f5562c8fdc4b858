"""What every estimator is: a small object that finds minimum eigenvectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np

from tf_splitting.estimating.problem import SplittingProblem
from tf_splitting.tracing import Field, Neurons


class Eigenpairs(NamedTuple):
    """Minimum eigenvalue of every neuron and its unit eigenvector.

    Attributes:
        values: λ, `[neurons]`.
        vectors: v.
        residuals: |Sv - λv|, `[neurons]`: an eigenvalue of the sample's matrix lies
            within this distance of λ.
        standard_errors: of λ as a mean over the sample's examples, for this v.
        matrices: the splitting matrices by space, `[width, weights, weights]`, if the
            estimator has them.
    """

    values: np.ndarray
    vectors: Field
    residuals: np.ndarray | None = None
    standard_errors: np.ndarray | None = None
    matrices: Mapping[str, np.ndarray] | None = None


def measured(problem: SplittingProblem, vectors: Field) -> Eigenpairs:
    """Takes one more pass over the sample to see what unit vectors are worth."""
    neurons = problem.neurons
    image, forms = problem.forms(vectors, [vectors])
    values = problem.fold_shares @ forms[:, :, 0]
    off = residual(neurons, image, vectors, values)
    return Eigenpairs(
        values,
        vectors,
        np.sqrt(neurons.inner(off, off)),
        standard_errors(forms[:, :, 0], problem.fold_shares),
    )


def residual(
    neurons: Neurons, image: Field, vectors: Field, values: np.ndarray
) -> Field:
    """Sv - λv of every neuron: half the gradient of the Rayleigh quotient."""
    along = neurons.scaled(vectors, values)
    return [s - a for s, a in zip(image, along, strict=True)]


def standard_errors(forms: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Standard errors of the mean of folds, `[neurons]`; NaN for a single fold.

    Args:
        forms: the mean of each fold, `[folds, neurons]`.
        shares: share of the examples in each fold, `[folds]`.
    """
    count = len(forms)
    if count < 2:
        return np.full(forms.shape[1], np.nan)
    squares = np.square(forms - shares @ forms)
    return np.sqrt(np.square(shares) @ squares * count / (count - 1))


class Estimator(Protocol):
    """Finds, for every neuron, the splitting index and the splitting direction.

    An estimator is a settings object: `solve` keeps no state between calls, and
    `outgoing` says whether a neuron's outgoing weights belong to its direction.
    Adding one is a new file with a class of this shape, one export in
    `tf_splitting/estimating/__init__.py`, and one row in
    `tests/estimating/test_estimator_contract.py`.
    """

    @property
    def outgoing(self) -> bool:
        """Whether directions move a neuron's outgoing weights too."""
        ...

    def solve(self, problem: SplittingProblem, seed: int) -> Eigenpairs:
        """Minimum eigenpairs of all splitting matrices of the problem."""
        ...

    def products(self, problem: SplittingProblem) -> int:
        """How many batch products `solve` will take, for the time left."""
        ...
