"""Splitting matrices in full, and their eigenvectors by `eigh`: the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tf_splitting.errors import SplittingError
from tf_splitting.estimating.estimators.base import Eigenpairs, measured
from tf_splitting.estimating.problem import SplittingProblem
from tf_splitting.support import truth, whole
from tf_splitting.tracing import Field, Neurons


@dataclass(frozen=True)
class Exact:
    """Materialises every splitting matrix by applying it to basis vectors.

    One pass over the sample for each weight of the largest neuron: for tests,
    comparisons and small neurons.

    Args:
        outgoing: let directions move a neuron's outgoing weights too.
        max_dimension: refuse neurons with more weights than this.

    Raises:
        SplittingError: an argument is out of range.

    Example:
        >>> scores = tf_splitting.estimate(
        ...     model, (x, y), estimator=tf_splitting.Exact()
        ... )
        >>> scores["conv1"].matrices.shape  # [width, weights, weights]
    """

    outgoing: bool = True
    max_dimension: int = 2048

    def __post_init__(self) -> None:
        truth("outgoing", self.outgoing)
        whole("max_dimension", self.max_dimension, at_least=1)

    def solve(self, problem: SplittingProblem, seed: int) -> Eigenpairs:
        """Minimum eigenpairs of all splitting matrices of the problem.

        Raises:
            SplittingError: a neuron has more weights than `max_dimension`.
        """
        neurons = problem.neurons
        entries = _Entries(neurons)
        values = np.zeros(neurons.count)
        vectors = np.zeros((neurons.count, entries.largest))
        matrices = self.matrices(problem)
        for space, stack in matrices.items():
            eigenvalues, eigenvectors = np.linalg.eigh(stack)
            neurons.of(space, values)[:] = eigenvalues[:, 0]
            neurons.of(space, vectors)[:, : stack.shape[1]] = eigenvectors[:, :, 0]
        found = measured(problem, entries.field(vectors))
        return found._replace(values=values, matrices=matrices)

    def products(self, problem: SplittingProblem) -> int:
        """How many batch products `solve` will take."""
        return (_Entries(problem.neurons).largest + 1) * problem.batches

    def matrices(self, problem: SplittingProblem) -> dict[str, np.ndarray]:
        """The splitting matrices of every space, `[width, weights, weights]`.

        Rows and columns are a neuron's weights in the order of the problem's slots
        (producer kernels and consumer kernels as the graph lists them), each slice
        flattened; in relative units.

        Raises:
            SplittingError: a neuron has more weights than `max_dimension`.
        """
        neurons = problem.neurons
        entries = _Entries(neurons)
        if entries.largest > self.max_dimension:
            raise SplittingError(
                f"A neuron has {entries.largest} weights; Exact(max_dimension="
                f"{self.max_dimension}) refuses to materialise that. Use Rayleigh(), "
                "or raise max_dimension."
            )
        matrices = np.zeros((neurons.count, entries.largest, entries.largest))
        for column in range(entries.largest):
            basis = np.zeros((neurons.count, entries.largest))
            basis[:, column] = 1
            image = problem.product(entries.field(basis))
            matrices[:, :, column] = entries.vectors(image)
        matrices = (matrices + matrices.transpose(0, 2, 1)) / 2
        result = {}
        for space in neurons.offsets:
            size = int(neurons.of(space, entries.sizes).max())
            result[space] = neurons.of(space, matrices)[:, :size, :size]
        return result


class _Entries:
    """Numbers the weights of each neuron 0, 1, 2, ... across all slots."""

    def __init__(self, neurons: Neurons) -> None:
        self._neurons = neurons
        self.sizes = np.zeros(neurons.count, np.int64)
        self._places = []
        for slot in neurons.slots:
            shape = slot.variable.shape
            along = [1] * len(shape)
            along[slot.axis] = -1
            owner = np.broadcast_to(slot.ids.reshape(along), shape).reshape(-1)
            order = np.argsort(owner, kind="stable")
            order = order[owner[order] >= 0]
            owners = owner[order]
            first = np.searchsorted(owners, owners)
            rank = np.arange(len(owners)) - first
            self._places.append((order, owners, rank + self.sizes[owners]))
            self.sizes += np.bincount(owners, minlength=neurons.count)
        self.largest = int(self.sizes.max(initial=0))

    def field(self, vectors: np.ndarray) -> Field:
        """From `[neurons, largest]` to a field."""
        field = []
        for slot, (order, owner, number) in zip(
            self._neurons.slots, self._places, strict=True
        ):
            flat = np.zeros(int(np.prod(slot.variable.shape)))
            flat[order] = vectors[owner, number]
            field.append(flat.reshape(slot.variable.shape))
        return field

    def vectors(self, field: Field) -> np.ndarray:
        """From a field to `[neurons, largest]`, zero behind a neuron's last weight."""
        vectors = np.zeros((self._neurons.count, self.largest))
        for values, (order, owner, number) in zip(field, self._places, strict=True):
            vectors[owner, number] = values.reshape(-1)[order]
        return vectors
