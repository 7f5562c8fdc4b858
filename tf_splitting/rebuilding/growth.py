"""What a plan does to every axis: gathers, shares and signs, and to every weight.

A neuron split into m copies becomes `(θ + ε c_k v, (b + ε c_k γ) / m)` for k = 1..m,
with coefficients c_k that sum to zero and whose squares average 1: for two copies +1
and -1, for more evenly spaced ones. To second order in ε the loss changes by
`½ ε² λ`, whatever m is.

The shares of the outgoing weight need not be equal; they only need to sum to 1. A
*fresh* neuron has the share 0 (`fresh.py`): its parent keeps (θ, b).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tf_splitting.selecting import Moves, SplitPlan
from tf_splitting.tracing import ChannelGraph, Field, Neurons, WeightUse
from tf_splitting.tracing import layout as lay


@dataclass(frozen=True)
class Growth:
    """A plan worked out for every space of a graph.

    Attributes:
        widths: width of each space before.
        gathers: old neuron of every new one, `[new width]`.
        shares: share of that neuron's outgoing weight that the new one gets.
        signs: the coefficient c_k of each copy, 0 where nothing was split.
        second_signs: the same along the second direction.
        numbers: of the candidate that each new neuron is; -1 where it is none.
    """

    widths: dict[str, int]
    gathers: dict[str, np.ndarray]
    shares: dict[str, np.ndarray]
    signs: dict[str, np.ndarray]
    second_signs: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray]

    @classmethod
    def of(cls, graph: ChannelGraph, plan: SplitPlan, *, fresh: bool = False) -> Growth:
        """Works out a plan that fits the graph; `fresh` neurons in place of copies."""
        gathers, shares, numbers = {}, {}, {}
        signs, second_signs = {}, {}
        for space in graph.spaces:
            added = np.asarray(plan.splits.get(space.name, []), np.int64)
            gather = np.concatenate([np.arange(space.width), added])
            counts = np.bincount(gather, minlength=space.width)
            gathers[space.name] = gather
            second_signs[space.name] = np.zeros(len(gather))
            moves = plan.moves.get(space.name)
            if moves is not None:
                shares[space.name] = _shared(gather, moves)
                signs[space.name], second_signs[space.name] = (
                    _moved(gather, moves, shares[space.name], along) for along in (0, 1)
                )
            elif fresh:
                shares[space.name] = (np.arange(len(gather)) < space.width) * 1.0
                signs[space.name] = np.zeros(len(gather))
            else:
                shares[space.name] = 1 / counts[gather]
                signs[space.name] = _signs(gather, counts)
            numbers[space.name] = np.full(len(gather), -1)
            numbers[space.name][space.width :] = plan.candidates.get(space.name, -1)
        return cls(graph.widths, gathers, shares, signs, second_signs, numbers)

    @property
    def new_widths(self) -> dict[str, int]:
        """Width of each space afterwards."""
        return {space: len(gather) for space, gather in self.gathers.items()}

    def expand(
        self,
        array: np.ndarray,
        weight: WeightUse,
        only: Mapping[int, np.ndarray] | None = None,
    ) -> np.ndarray:
        """An array shaped like a weight, gathered along all its channel axes.

        `only` restricts some axes to some positions of the result.
        """
        only = only or {}
        for use in sorted(weight.axes, key=lambda use: use.axis not in only):
            index = lay.sources(use.layout, self.widths, self.gathers)
            if use.axis in only:
                array = np.take(array, index[only[use.axis]], use.axis)
            elif len(index) != array.shape[use.axis]:
                array = np.take(array, index, use.axis)
        return array

    def along(
        self, weight: WeightUse, axis: int, values: dict[str, np.ndarray]
    ) -> np.ndarray:
        """Per-neuron values of an axis of the new weight, ready to multiply it."""
        shape = [1] * len(weight.variable.shape)
        shape[axis] = -1
        return lay.spread(_layout(weight, axis), values).reshape(shape)

    def sources(self, weight: WeightUse, axis: int) -> np.ndarray:
        """Old position of every position of an axis of the new weight."""
        return lay.sources(_layout(weight, axis), self.widths, self.gathers)

    def weight(
        self,
        value: np.ndarray,
        weight: WeightUse,
        only: Mapping[int, np.ndarray] | None = None,
    ) -> np.ndarray:
        """A weight after the split at ε = 0: copied, and shared where consumed.

        `only` restricts some axes to some positions of the result.
        """
        grown = self.expand(value, weight, only)
        for use in weight.axes:
            if use.role == "consumed" and self._grows(use.layout):
                share = self.along(weight, use.axis, self.shares)
                if only and use.axis in only:
                    share = np.take(share, only[use.axis], use.axis)
                grown = grown * share.astype(value.dtype)
        return grown

    def fresh(self, weight: WeightUse, axis: int) -> np.ndarray:
        """Positions of fresh neurons on an axis of the new weight."""
        return np.flatnonzero(self.along(weight, axis, self.shares) == 0)

    def _grows(self, layout: lay.Layout) -> bool:
        return any(
            len(self.gathers[block.space]) != self.widths[block.space]
            for block in layout
        )

    def among_old(self, weight: WeightUse) -> np.ndarray:
        """Which entries of a grown weight no added neuron takes part in."""
        old = {
            space: np.arange(len(gather)) < self.widths[space]
            for space, gather in self.gathers.items()
        }
        among = np.ones((1,) * len(weight.variable.shape), bool)
        for use in weight.axes:
            among = among & self.along(weight, use.axis, old)
        return among

    def old_positions(self, weight: WeightUse, axis: int) -> np.ndarray:
        """Positions of an axis of the new weight that were there before, in order."""
        if axis not in {use.axis for use in weight.axes}:
            return np.arange(weight.variable.shape[axis])
        old = {
            space: np.arange(len(gather)) < self.widths[space]
            for space, gather in self.gathers.items()
        }
        return np.flatnonzero(self.along(weight, axis, old))

    def gradient_like(
        self, value: np.ndarray, weight: WeightUse, degree: int
    ) -> np.ndarray:
        """What becomes of a quantity that scales as the gradient to a power.

        Copies of a neuron see their share of its gradient, because its outgoing weight
        is shared out (a fresh neuron starts with none); gradients of outgoing weights
        stay what they were.
        """
        grown = self.expand(value, weight)
        for use in weight.axes:
            if use.role != "consumed":
                grown = grown * self.along(weight, use.axis, self.shares) ** degree
        return grown.astype(value.dtype)


class Offset(NamedTuple):
    """What a step of 1 adds to some slices of a grown kernel.

    Attributes:
        axis: the axis along which the slices lie.
        positions: where, `[slices]`.
        values: kernel-shaped, `[..., slices, ...]`.
    """

    axis: int
    positions: np.ndarray
    values: np.ndarray


def moved(kernel: np.ndarray, moves: Iterable[Offset], step: float) -> np.ndarray:
    """A grown kernel after its offsets times a step; a new array."""
    kernel = kernel.copy()
    for move in moves:
        index = lay.at(kernel.ndim, move.axis, move.positions)
        kernel[index] += (step * move.values).astype(kernel.dtype)
    return kernel


def offsets(
    growth: Growth,
    neurons: Neurons,
    directions: Field,
    signs: Mapping[str, np.ndarray],
) -> dict[str, list[Offset]]:
    """How the copies move along one direction each, by kernel name.

    Args:
        growth: the plan.
        neurons: the model's neurons.
        directions: relative directions, a field of unit vectors.
        signs: the growth's, or its second ones.

    An offset is halved on duplicated inputs exactly as the kernel is; otherwise the
    step would be up to twice too long.
    """
    found: dict[str, list[Offset]] = {}
    for slot, norm, direction in zip(
        neurons.slots, neurons.norms(), directions, strict=True
    ):
        weight = neurons.graph.weight(slot.weight)
        along = growth.along(weight, slot.axis, dict(signs))
        where = np.flatnonzero(along)
        if len(where):
            only = {slot.axis: where}
            parents = growth.sources(weight, slot.axis)[where]
            norms = np.take(slot.broadcast(norm), parents, slot.axis)
            values = growth.weight(direction, weight, only)
            values = values * norms * np.take(along, where, slot.axis)
            found.setdefault(slot.weight, []).append(Offset(slot.axis, where, values))
    return found


def _layout(weight: WeightUse, axis: int) -> lay.Layout:
    (layout,) = {use.layout for use in weight.axes if use.axis == axis}
    return layout


def _shared(gather: np.ndarray, moves: Moves) -> np.ndarray:
    """Shares of a space whose plan says them, `[new width]`."""
    old = len(gather) - len(moves.shares)
    shares = np.append(np.ones(old), moves.shares)
    np.subtract.at(shares, gather[old:], moves.shares)
    return shares


def _moved(
    gather: np.ndarray, moves: Moves, shares: np.ndarray, along: int
) -> np.ndarray:
    """Coefficients along one direction, where the plan says them, `[new width]`."""
    old = len(gather) - len(moves.steps)
    # A fresh neuron has no copy to move apart from.
    moving = (np.array(moves.along) == along) & (np.array(moves.shares) != 0)
    signs = np.append(np.zeros(old), moving * np.array(moves.steps))
    leaning = np.zeros(old)
    np.add.at(leaning, gather[old:], shares[old:] * signs[old:])
    signs[:old] -= leaning / shares[:old]
    return signs


def _signs(gather: np.ndarray, counts: np.ndarray) -> np.ndarray:
    signs = np.zeros(len(gather))
    for neuron in np.flatnonzero(counts > 1):
        spaced = np.linspace(1, -1, counts[neuron])
        signs[gather == neuron] = spaced / np.sqrt(np.mean(np.square(spaced)))
    return signs
