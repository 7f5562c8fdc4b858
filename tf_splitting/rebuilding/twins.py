"""Neurons that compute the same as one that stays, and hand their outgoing weights on.

Copies that have not moved apart are such twins: without one of them the other has to
be heard twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from tf_splitting.tracing import ChannelGraph, WeightUse, as_numpy
from tf_splitting.tracing import layout as lay

# By space: of a neuron that goes, the twin that stays.
Heirs = Mapping[str, Mapping[int, int]]
# A weight, its axis of neurons in front, and the positions of each there.
Part = tuple[np.ndarray, np.ndarray]


def heirs(graph: ChannelGraph, removals: Mapping[str, list[int]]) -> Heirs:
    """The twins of neurons that go: the same incoming weights, kernels and scales.

    Args:
        graph: of the model.
        removals: neurons that go, by space.
    """
    parts = _parts(graph, removals)
    found = {
        space: _twins(parts[space], graph.space(space).width, indices)
        for space, indices in removals.items()
        if indices
    }
    return {space: twins for space, twins in found.items() if twins}


def handed_on(
    value: np.ndarray, use: WeightUse, graph: ChannelGraph, heirs: Heirs
) -> np.ndarray:
    """A weight in which twins that stay read for both.

    Args:
        value: of the weight, at the model's widths.
        use: of the weight.
        graph: of the model.
        heirs: as found.
    """
    for axis in use.axes:
        if axis.role != "consumed" or not heirs.keys() & {b.space for b in axis.layout}:
            continue
        value = value.copy()
        neurons = np.moveaxis(value, axis.axis, 0)
        for space, rows in lay.blocks(axis.layout, graph.widths):
            for gone, stays in heirs.get(space, {}).items():
                neurons[rows[stays]] += neurons[rows[gone]]
    return value


def _parts(graph: ChannelGraph, spaces: Collection[str]) -> dict[str, list[Part]]:
    """What neurons of some spaces are made of besides their outgoing weights."""
    parts: dict[str, list[Part]] = {space: [] for space in spaces}
    for use in graph.weights:
        for axis in use.axes:
            if axis.role == "consumed":
                continue
            for space, rows in lay.blocks(axis.layout, graph.widths):
                if space in parts:
                    value = np.moveaxis(as_numpy(use.variable), axis.axis, 0)
                    parts[space].append((value, rows))
    return parts


def _twins(parts: list[Part], width: int, gone: list[int]) -> dict[int, int]:
    """Of every neuron that goes and has a twin that stays, the first such twin."""
    # Two numbers of every weight tell most neurons apart; those they do not tell apart
    # are looked at whole.
    told = [
        part[rows[:, 0]].reshape(width, -1)[:, end]
        for part, rows in parts
        for end in (0, -1)
    ]
    alike: dict[bytes, list[int]] = {}
    keys = [b"".join(numbers[n].tobytes() for numbers in told) for n in range(width)]
    for neuron in sorted({*range(width)} - {*gone}):
        alike.setdefault(keys[neuron], []).append(neuron)

    def same(one: int, other: int) -> bool:
        return all(
            part[rows[one]].tobytes() == part[rows[other]].tobytes()
            for part, rows in parts
        )

    found = {}
    for neuron in gone:
        twin = next((n for n in alike.get(keys[neuron], ()) if same(neuron, n)), None)
        if twin is not None:
            found[neuron] = twin
    return found
