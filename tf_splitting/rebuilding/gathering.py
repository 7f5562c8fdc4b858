"""What becomes of every axis of a model, and so of every weight, when widths change.

A rebuilt model's neurons are the old one's, some of them several times or not at all;
an axis is a row of neurons (`tracing.layout`), and is gathered accordingly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tf_splitting.tracing import ChannelGraph, WeightUse
from tf_splitting.tracing import layout as lay


@dataclass(frozen=True)
class Gathering:
    """The neurons of every space of a rebuilt model, as neurons of the old one.

    Attributes:
        widths: width of each space before.
        gathers: old neuron of every new one, `[new width]`; what is added to the old
            ones stands behind them.
        shares: share of that neuron's outgoing weight that the new one gets.
    """

    widths: dict[str, int]
    gathers: dict[str, np.ndarray]
    shares: dict[str, np.ndarray]

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

    def arrays(self, graph: ChannelGraph) -> list[np.ndarray]:
        """The rebuilt model's arrays for those of `graph.constants`, in their order."""
        # One array may have channels along several axes.
        keys = [(id(use.operation), id(use.array)) for use in graph.constants]
        found = dict(zip(keys, graph.arrays, strict=True))
        for use, key in zip(graph.constants, keys, strict=True):
            index = lay.sources(use.layout, self.widths, self.gathers)
            found[key] = np.take(found[key], index, use.axis)
        return [found[key] for key in keys]

    def along(
        self, weight: WeightUse, axis: int, values: dict[str, np.ndarray]
    ) -> np.ndarray:
        """Per-neuron values of an axis of the new weight, ready to multiply it."""
        return lay.along(
            _layout(weight, axis), values, len(weight.variable.shape), axis
        )

    def sources(self, weight: WeightUse, axis: int) -> np.ndarray:
        """Old position of every position of an axis of the new weight."""
        return lay.sources(_layout(weight, axis), self.widths, self.gathers)

    def weight(
        self,
        value: np.ndarray,
        weight: WeightUse,
        only: Mapping[int, np.ndarray] | None = None,
    ) -> np.ndarray:
        """A rebuilt weight: gathered, and shared out where consumed.

        `only` restricts some axes to some positions of the result.
        """
        grown = self.expand(value, weight, only)
        for use in weight.axes:
            if use.role == "consumed" and self._changes(use.layout):
                share = self.along(weight, use.axis, self.shares)
                if only and use.axis in only:
                    share = np.take(share, only[use.axis], use.axis)
                grown = grown * share.astype(value.dtype)
        return grown

    def _changes(self, layout: lay.Layout) -> bool:
        return any(
            len(self.gathers[block.space]) != self.widths[block.space]
            for block in layout
        )

    def among_old(self, weight: WeightUse) -> np.ndarray:
        """Which entries of a rebuilt weight no added neuron takes part in."""
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


def _layout(weight: WeightUse, axis: int) -> lay.Layout:
    (layout,) = {use.layout for use in weight.axes if use.axis == axis}
    return layout
