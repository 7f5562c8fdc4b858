"""Minimum eigenvectors by descent on the Rayleigh quotient, all neurons at once.

Two solvers:

`"lobpcg"`: each pass over the sample computes one product S·r with the residual of the
current Rayleigh quotient and then minimises the quotient, for every neuron on its own,
over the span of everything multiplied so far. One product a pass, like LOBPCG with
block size one (Knyazev, "Toward the Optimal Preconditioned Eigensolver", 2001), but
over all previous directions in place of the last one, which needs no further product.

`"rmsprop"`: stochastic descent on the quotient with one mini-batch product a step and
RMSprop step sizes, as the paper has it (Wang et al., arXiv 1910.03103, section 3), and
a last pass that measures the quotient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tf_splitting.estimating.estimators.base import (
    Eigenpairs,
    measured,
    residual,
    standard_errors,
)
from tf_splitting.estimating.problem import SplittingProblem
from tf_splitting.support import number, one_of, truth, whole
from tf_splitting.tracing import Field, Neurons


@dataclass(frozen=True)
class Rayleigh:
    """The fast estimator: Rayleigh-quotient descent on products with S.

    Args:
        solver: `"lobpcg"` (default) or `"rmsprop"`.
        passes: most passes over the sample; each costs about one training epoch of it.
        tolerance: `"lobpcg"` stops earlier once the summed λ of the neurons that gain
            is known to this relative accuracy: an eigenvalue lies within |Sv - λv| of
            λ, and within its square over the gap to the next if that is less. 0: never.
        outgoing: let directions move a neuron's outgoing weights too, without which
            a neuron with a linear tail cannot gain.
        learning_rate: step of `"rmsprop"`.

    Raises:
        UnknownNameError: there is no such solver.
        SplittingError: another argument is out of range.

    Example:
        >>> scores = tf_splitting.estimate(
        ...     model, (x, y), estimator=tf_splitting.Rayleigh(passes=8)
        ... )
    """

    solver: str = "lobpcg"
    passes: int = 8
    tolerance: float = 0.01
    outgoing: bool = True
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        one_of("solver", self.solver, _SOLVERS)
        whole("passes", self.passes, at_least=1)
        number("tolerance", self.tolerance, at_least=0)
        truth("outgoing", self.outgoing)
        number("learning_rate", self.learning_rate, above=0)

    def solve(self, problem: SplittingProblem, seed: int) -> Eigenpairs:
        """Minimum eigenpairs of all splitting matrices of the problem."""
        start = problem.neurons.random(np.random.default_rng(seed))
        return _SOLVERS[self.solver](self, problem, start, seed)

    def products(self, problem: SplittingProblem) -> int:
        """How many batch products `solve` will take at most."""
        extra = 1 if self.solver == "rmsprop" else 0
        return (self.passes + extra) * problem.batches


def _lobpcg(
    settings: Rayleigh, problem: SplittingProblem, start: Field, seed: int
) -> Eigenpairs:
    neurons, shares = problem.neurons, problem.fold_shares
    image, form = problem.forms(start, [start])
    basis, images = [start], [image]
    grams = form[..., None]  # of the basis under S, fold by fold
    while True:
        size = len(basis)
        values, vectors = np.linalg.eigh(np.tensordot(shares, grams, 1))
        weights = vectors[:, :, 0]
        direction = _combine(neurons, basis, weights)
        image = _combine(neurons, images, weights)
        off = residual(neurons, image, direction, values[:, 0])
        lengths = np.sqrt(neurons.inner(off, off))
        if size == settings.passes or _settled(values, lengths, settings.tolerance):
            forms = np.einsum("ni,fnij,nj->fn", weights, grams, weights)
            errors = standard_errors(forms, shares)
            direction = neurons.normalized(direction)
            return Eigenpairs(values[:, 0], direction, lengths, errors)
        outside, found = _orthonormal(neurons, basis, off, image)
        basis.append(outside)
        image, form = problem.forms(outside, basis)
        images.append(image)
        grown = np.zeros((len(grams), neurons.count, size + 1, size + 1))
        grown[..., :-1, :-1] = grams
        grown[..., :, -1] = grown[..., -1, :] = form
        # A zero direction must not look like a better eigenvalue of zero.
        grown[:, found, -1, -1] = np.abs(grown[:, found]).max(axis=(0, 2, 3)) + 1
        grams = grown


def _settled(values: np.ndarray, residuals: np.ndarray, tolerance: float) -> bool:
    """Whether λ of the neurons that gain is known to the tolerance, in sum."""
    if tolerance == 0 or values.shape[1] < 2:
        return False
    gap = np.maximum(values[:, 1] - values[:, 0], np.finfo(float).tiny)
    errors = np.minimum(residuals, np.square(residuals) / gap)
    gaining = values[:, 0] < 0
    total = -values[gaining, 0].sum()
    return bool(errors[gaining].sum() <= tolerance * total)


def _orthonormal(
    neurons: Neurons, basis: list[Field], direction: Field, image: Field
) -> tuple[Field, np.ndarray]:
    """The part of a direction outside the basis, at unit length.

    Also returns which neurons are `found`: nothing but round-off is left outside, and
    their part is zero.
    """
    # Twice is enough (Kahan, Parlett): round-off would otherwise let directions that
    # are already in the basis come back.
    for _ in range(2):
        for member in basis:
            overlap = neurons.scaled(member, neurons.inner(member, direction))
            direction = [d - o for d, o in zip(direction, overlap, strict=True)]
    left = neurons.inner(direction, direction)
    noise = np.sqrt(np.finfo(direction[0].dtype).eps)
    found = left <= noise**2 * neurons.inner(image, image)
    return neurons.normalized(neurons.scaled(direction, ~found)), found


def _combine(neurons: Neurons, fields: list[Field], weights: np.ndarray) -> Field:
    total = neurons.scaled(fields[0], weights[:, 0])
    for i, member in enumerate(fields[1:], start=1):
        part = neurons.scaled(member, weights[:, i])
        total = [t + p for t, p in zip(total, part, strict=True)]
    return total


def _rmsprop(
    settings: Rayleigh, problem: SplittingProblem, start: Field, seed: int
) -> Eigenpairs:
    neurons = problem.neurons
    generator = np.random.default_rng(seed + 1)
    direction = start
    square = [np.zeros_like(x) for x in start]
    for _ in range(settings.passes):
        for batch in generator.permutation(problem.batches):
            image = problem.product(direction, [int(batch)])
            value = neurons.inner(direction, image)
            gradient = residual(neurons, image, direction, value)
            square = [
                0.99 * s + 0.01 * np.square(g)
                for s, g in zip(square, gradient, strict=True)
            ]
            moved = [
                d - settings.learning_rate * g / (np.sqrt(s) + 1e-8)
                for d, g, s in zip(direction, gradient, square, strict=True)
            ]
            direction = neurons.normalized(moved)
    return measured(problem, direction)


_SOLVERS = {"lobpcg": _lobpcg, "rmsprop": _rmsprop}
