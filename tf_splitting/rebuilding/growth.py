"""What a plan of splits does to every neuron: shares and signs; and to every kernel.

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

from tf_splitting.rebuilding.gathering import Gathering
from tf_splitting.selecting import Moves, SplitPlan
from tf_splitting.tracing import ChannelGraph, Field, Neurons, WeightUse
from tf_splitting.tracing import layout as lay


@dataclass(frozen=True)
class Growth(Gathering):
    """A plan of splits worked out for every space of a graph.

    Attributes:
        signs: the coefficient c_k of each copy, 0 where nothing was split.
        second_signs: the same along the second direction.
        numbers: of the candidate that each new neuron is; -1 where it is none.
    """

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

    def fresh(self, weight: WeightUse, axis: int) -> np.ndarray:
        """Positions of fresh neurons on an axis of the new weight."""
        return np.flatnonzero(self.along(weight, axis, self.shares) == 0)


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
