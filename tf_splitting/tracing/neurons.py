"""Numbers every growable neuron of a model and finds its weights.

A neuron's weights are slices of kernels: of those that produce it (its incoming
weights, θ) and of those that consume it (its outgoing weights, b). A `Field` holds
one number for each such weight of each neuron, as one array of the kernel's shape per
(kernel, role); eigenvectors, products with splitting matrices and split directions
are all fields. Sums over a neuron's weights are segment sums over these arrays, so
nothing here loops over neurons.

Directions are relative: a unit of a direction is the norm of the slice it changes
(design: weights in front of a normalization have no scale of their own, and ReLU
networks can share theirs freely between layers).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tf_splitting.tracing import layout as lay
from tf_splitting.tracing.graph import ChannelGraph

Field = list[np.ndarray]


@dataclass(frozen=True)
class Slot:
    """The slices of one kernel in one role.

    Attributes:
        role: "produced" (incoming weights) or "consumed" (outgoing weights).
        weight: name of the kernel.
        variable: the kernel itself.
        axis: the kernel axis along which the neurons lie.
        ids: number of the neuron at each position of that axis, -1 where frozen.
    """

    role: Literal["produced", "consumed"]
    weight: str
    variable: Any
    axis: int
    ids: np.ndarray

    def broadcast(self, values: np.ndarray) -> np.ndarray:
        """Values per neuron `[neurons]`, to multiply the kernel with; frozen: 0."""
        shape = [1] * len(self.variable.shape)
        shape[self.axis] = -1
        return np.append(values, 0)[self.ids].reshape(shape)

    def sum(self, array: np.ndarray, neurons: int) -> np.ndarray:
        """Sum over each neuron's slice, `[neurons]`, in float64."""
        others = tuple(i for i in range(array.ndim) if i != self.axis)
        per_position = array.sum(axis=others, dtype=np.float64)
        return np.bincount(self.ids + 1, per_position, neurons + 1)[1:]


class Neurons:
    """All growable neurons of a traced model, numbered space by space.

    Attributes:
        graph: the model.
        count: how many there are.
        offsets: number of the first neuron of each space.
        slots: where their weights are.
        consumed: number of the neuron at each position of the axis along which a kernel
            reads, -1 where frozen, by kernel.

    Args:
        graph: the traced model.
        outgoing: also count the consumer kernels to a neuron's weights, but for
            those of layers that are not trainable: a split would move them.
    """

    def __init__(self, graph: ChannelGraph, *, outgoing: bool = True) -> None:
        self.graph = graph
        self.offsets: dict[str, int] = {}
        count = 0
        for space in graph.growable:
            self.offsets[space.name] = count
            count += space.width
        self.count = count
        kernels = {step.kernel for step in graph.steps if step.kernel is not None}
        ids = {
            space.name: (
                self.offsets[space.name] + np.arange(space.width)
                if space.frozen is None
                else np.full(space.width, -1)
            )
            for space in graph.spaces
        }
        self.consumed: dict[str, np.ndarray] = {}
        self.slots: list[Slot] = []
        for weight in graph.weights:
            if weight.name not in kernels:
                continue
            for use in weight.axes:
                numbers = lay.spread(use.layout, ids)
                if use.role == "consumed":
                    self.consumed[weight.name] = numbers
                    if not (outgoing and weight.variable.trainable):
                        continue
                if use.role != "carried" and (numbers >= 0).any():
                    self.slots.append(
                        Slot(use.role, weight.name, weight.variable, use.axis, numbers)
                    )

    def add_up(self, ids: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Sum of the values at each neuron's positions, `[neurons]`."""
        return np.bincount(ids + 1, values, self.count + 1)[1:]

    def of(self, space: str, values: np.ndarray) -> np.ndarray:
        """The part of `[neurons]` values that belongs to a space, `[width]`."""
        start = self.offsets[space]
        return values[start : start + self.graph.space(space).width]

    def norms(self) -> list[np.ndarray]:
        """Norm of each neuron's slice in each slot, `[neurons]` each.

        A zero-initialised slice has no scale of its own: it gets the mean norm of its
        kernel's other slices, or, if all are zero, 1, about what an initializer
        would give.
        """
        norms = []
        for slot in self.slots:
            kernel = as_numpy(slot.variable)
            norm = np.sqrt(slot.sum(np.square(kernel), self.count))
            here = np.bincount(slot.ids + 1, minlength=self.count + 1)[1:] > 0
            positive = norm[here & (norm > 0)]
            spare = positive.mean() if positive.size else 1.0
            norms.append(np.where(here & (norm == 0), spare, norm))
        return norms

    def inner(self, a: Field, b: Field) -> np.ndarray:
        """Inner product of each neuron's parts of two fields, `[neurons]`."""
        total = np.zeros(self.count)
        for slot, x, y in zip(self.slots, a, b, strict=True):
            total += slot.sum(x * y, self.count)
        return total

    def scaled(self, field: Field, factors: np.ndarray) -> Field:
        """The field times a number per neuron `[neurons]`; frozen entries become 0."""
        return [
            x * slot.broadcast(factors).astype(x.dtype)
            for slot, x in zip(self.slots, field, strict=True)
        ]

    def normalized(self, field: Field) -> Field:
        """Every neuron's part scaled to unit length (zero parts stay zero)."""
        norm = np.sqrt(self.inner(field, field))
        return self.scaled(field, np.divide(1, norm, where=norm > 0, out=norm * 0))

    def random(
        self, generator: np.random.Generator, chosen: np.ndarray | None = None
    ) -> Field:
        """Independent random unit vectors, one for each neuron.

        Args:
            generator: source of the numbers.
            chosen: which neurons get one, `[neurons]`; the others get zeros.
        """
        chosen = np.ones(self.count, bool) if chosen is None else chosen
        field = []
        for slot in self.slots:
            where = np.flatnonzero(np.append(chosen, False)[slot.ids])
            values = np.zeros(slot.variable.shape)
            index = lay.at(values.ndim, slot.axis, where)
            values[index] = generator.standard_normal(values[index].shape)
            field.append(values)
        return [
            values.astype(as_numpy(slot.variable).dtype)
            for slot, values in zip(self.slots, self.normalized(field), strict=True)
        ]


def as_numpy(variable: Any) -> np.ndarray:
    """A variable's value as float32 or float64 (bfloat16 and float16 widened)."""
    value = variable.numpy()
    return value if value.dtype == np.float64 else value.astype(np.float32)
