"""What a fresh neuron starts with.

Its outgoing weights are zero, so that the function stays what it was whatever it
computes. Its incoming weights are random. What it carries along on the way to its
consumers is of two kinds, kernels (depthwise, grouped, separable) and scales
(normalization, bias, PReLU, LayerScale), and each is either its parent's or drawn anew:
a kernel at random, with the norm of its parent's; a scale at its initial value.

A fresh neuron that is a candidate (`SplitPlan.candidates`) is drawn from the seed and
its number alone, or has incoming weights that the plan or the scores hold, and reads
the old neurons only: it is what it was when it was scored, whichever others are added
beside it.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tf_splitting.errors import PlanError
from tf_splitting.estimating import Directions, SpaceScores
from tf_splitting.rebuilding.growth import Growth, Offset
from tf_splitting.support import one_of
from tf_splitting.tracing import AxisUse, Neurons, WeightUse, as_numpy
from tf_splitting.tracing import layout as lay

Start = Literal["copy", "draw"]
STARTS = ("copy", "draw")


@dataclass(frozen=True)
class FreshStart:
    """Where what a fresh neuron carries along comes from.

    Attributes:
        kernels: "copy" its parent's, or "draw" them at random.
        scales: "copy" its parent's, or "draw" their initial values.

    Raises:
        UnknownNameError: one is neither.
    """

    kernels: Start = "copy"
    scales: Start = "copy"

    def __post_init__(self) -> None:
        one_of("carried_kernels", self.kernels, STARTS)
        one_of("carried_scales", self.scales, STARTS)

    @property
    def draws(self) -> bool:
        """Whether anything is drawn anew."""
        return "draw" in (self.kernels, self.scales)


def fresh_offsets(
    growth: Growth,
    neurons: Neurons,
    generator: np.random.Generator,
    start: FreshStart,
    seed: int,
    known: Mapping[str, Directions | SpaceScores] | None = None,
) -> dict[str, list[Offset]]:
    """What turns copies into fresh neurons, by weight name.

    Args:
        growth: the plan, worked out for fresh neurons.
        neurons: the model's neurons.
        generator: source of the new weights.
        start: where what they carry along comes from.
        seed: of candidates.
        known: hold a space's candidates, if they are not drawn.

    Added to a kernel, it gives every new neuron random incoming weights of its
    parent's norm, over all inputs, new ones included.
    """
    found: dict[str, list[Offset]] = {}
    incoming = {
        name: (space, array)
        for space, directions in (known or {}).items()
        for name, array in directions.fresh.items()
    }
    for slot, norm in zip(neurons.slots, neurons.norms(), strict=True):
        if slot.role != "produced":
            continue
        weight = neurons.graph.weight(slot.weight)
        where = growth.fresh(weight, slot.axis)
        if len(where):
            parents = growth.sources(weight, slot.axis)[where]
            norms = np.take(slot.broadcast(norm), parents, slot.axis)
            draw = _Draw(
                growth,
                weight,
                slot.axis,
                generator,
                seed,
                incoming.get(slot.weight),
            )
            offset = draw.replacing(where, norms)
            found.setdefault(slot.weight, []).append(offset)
    if start.draws:
        for weight in neurons.graph.weights:
            for use in weight.axes:
                own = _carried(growth, weight, use, generator, start, seed)
                if own is not None:
                    found.setdefault(weight.name, []).append(own)
    return found


def _carried(
    growth: Growth,
    weight: WeightUse,
    use: AxisUse,
    generator: np.random.Generator,
    start: FreshStart,
    seed: int,
) -> Offset | None:
    """What makes a carried weight the new neurons' own, if it is to be."""
    if use.carried is None:
        return None
    where = growth.fresh(weight, use.axis)
    if not len(where):
        return None
    if use.carried.kind == "kernel":
        if start.kernels == "copy":
            return None
        parents = growth.sources(weight, use.axis)[where]
        norms = np.take(_norms(weight, use.axis), parents, use.axis)
        draw = _Draw(growth, weight, use.axis, generator, seed)
        return draw.replacing(where, norms)
    initial = use.carried.initial
    if start.scales == "copy" or initial is None:
        return None
    base = growth.weight(as_numpy(weight.variable), weight, {use.axis: where})
    value = initial(base.shape) if callable(initial) else initial
    return Offset(use.axis, where, np.asarray(value, base.dtype) - base)


@dataclass(frozen=True)
class _Draw:
    """Random slices along an axis of a grown weight."""

    growth: Growth
    weight: WeightUse
    axis: int
    generator: np.random.Generator
    seed: int
    given: tuple[str, np.ndarray] | None = None

    def replacing(self, where: np.ndarray, norms: np.ndarray) -> Offset:
        """What replaces the slices at these positions by random ones of these norms."""
        growth, weight, axis = self.growth, self.weight, self.axis
        base = growth.weight(as_numpy(weight.variable), weight, {axis: where})
        drawn = self.generator.standard_normal(base.shape)
        numbers = growth.along(weight, axis, growth.numbers).reshape(-1)[where]
        for place in np.flatnonzero(numbers >= 0):
            before = np.count_nonzero(numbers[:place] == numbers[place])
            index = lay.at(drawn.ndim, axis, np.array([place]))
            drawn[index] = self._candidate(int(numbers[place]), int(before))
        others = tuple(i for i in range(base.ndim) if i != axis)
        drawn /= np.sqrt(np.square(drawn).sum(others, keepdims=True))
        return Offset(axis, where, norms * drawn - base)

    def _candidate(self, number: int, occurrence: int) -> np.ndarray:
        """A slice that its number alone decides: zero but for what was there before.

        Args:
            number: of the candidate.
            occurrence: of its slices on this axis.
        """
        if self.given is not None:
            values = self._given(*self.given, number, occurrence)
        else:
            values = self._drawn(number, occurrence)
        old = [
            np.arange(1)
            if axis == self.axis
            else self.growth.old_positions(self.weight, axis)
            for axis in range(values.ndim)
        ]
        lengths = [
            1 if axis == self.axis else self._length(axis) for axis in range(len(old))
        ]
        whole = np.zeros(lengths)
        whole[np.ix_(*old)] = values
        return whole

    def _given(
        self, space: str, arrays: np.ndarray, number: int, occurrence: int
    ) -> np.ndarray:
        expected = list(self.weight.variable.shape)
        expected[self.axis] = arrays.shape[self.axis] if arrays.ndim > self.axis else 0
        if list(arrays.shape) != expected:
            raise PlanError(
                f"The candidates of space {space!r} have shape {arrays.shape} for "
                f"kernel {self.weight.name!r}; the model needs {tuple(expected)}. Were "
                "they found for another model?"
            )
        layout = next(u.layout for u in self.weight.axes if u.axis == self.axis)
        widths = dict.fromkeys(self.growth.widths, 0)
        positions = lay.size(layout, {**widths, space: 1})
        count = arrays.shape[self.axis] // positions
        nobody = {name: np.zeros(0, int) for name in widths}
        numbers = lay.spread(layout, {**nobody, space: np.arange(count)})
        if number >= count:
            raise PlanError(
                f"The plan takes candidate {number} of space {space!r}, of which only "
                f"{count} were found. Were plan and scores made together?"
            )
        place = np.flatnonzero(numbers == number)[occurrence]
        return np.take(arrays, [place], self.axis)

    def _drawn(self, number: int, occurrence: int) -> np.ndarray:
        name = zlib.crc32(self.weight.name.encode())
        generator = np.random.default_rng(
            [self.seed, name, self.axis, number, occurrence]
        )
        shape = list(self.weight.variable.shape)
        shape[self.axis] = 1
        return generator.standard_normal(shape)

    def _length(self, axis: int) -> int:
        """Length of an axis of the grown weight."""
        for use in self.weight.axes:
            if use.axis == axis:
                return lay.size(use.layout, self.growth.new_widths)
        return self.weight.variable.shape[axis]


def _norms(weight: WeightUse, axis: int) -> np.ndarray:
    """Norm of every slice along an axis; the mean one for those that are zero."""
    value = as_numpy(weight.variable)
    others = tuple(i for i in range(value.ndim) if i != axis)
    norms = np.sqrt(np.square(value).sum(others, keepdims=True))
    positive = norms[norms > 0]
    return np.where(norms > 0, norms, positive.mean() if positive.size else 1.0)
