"""GradMax: new neurons with the incoming weights that let them gain most.

With G(w) the gradient at the zero outgoing weights of a neuron with incoming weights w,
|G(w)|² is what it gains by the first step of plain descent. Its gradient by w is what
the loss's gradient by w becomes, per unit, when the outgoing weights are moved a little
along G: two backward passes. Where the way to the consumers is linear, so is G, and
putting the gradient in the place of w is power iteration on GᵀG. The candidates of a
space are kept at right angles, so that each finds a direction of its own; those for
which there is none left stay random.

Source: Evci et al., "GradMax: Growing Neural Networks using Gradient Information",
arXiv 2201.05125.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import keras
import numpy as np

from tf_splitting.data import Sample
from tf_splitting.estimating import OutgoingGradients, outgoing_gradients
from tf_splitting.methods.base import Proposal, Round
from tf_splitting.methods.scoring import (
    NORMS,
    Improve,
    candidate_numbers,
    new_gains,
    propose_candidates,
    step_norm,
)
from tf_splitting.support import number, one_of, whole
from tf_splitting.tracing import ChannelGraph, Neurons, Slot, as_numpy
from tf_splitting.tracing import layout as lay
from tf_splitting.training import reestimate_batch_statistics

# Of the norm of a kernel, by which its new rows move to feel which way the gradient
# grows. Below, float32 sees nothing; above, candidates see each other.
NUDGE = 1e-3
# Of a pass, in training steps of the widened model over the same images: two passes for
# gradients, and a forward one for batch statistics.
ASCENT_COST = 1.6


@dataclass(frozen=True)
class GradMax:
    """Fresh neurons whose incoming weights are those that gain most.

    Args:
        share: candidates in every space, as a share of those that `max_growth` lets it
            grow by.
        passes: of power iteration.
        norm: of a candidate's gradient, as `Candidates` takes it.
        examples: of the sample, at most.

    Raises:
        SplittingError: an argument is out of range.

    Example:
        >>> grown = tf_splitting.grow(model, ds, target_macs=2e8, method="gradmax")
    """

    fresh_only: ClassVar[bool] = True

    share: float = 1.0
    passes: int = 3
    norm: Literal["auto", "absolute", "squares"] = "auto"
    examples: int = 1024

    def __post_init__(self) -> None:
        number("share", self.share, above=0)
        whole("passes", self.passes, at_least=1)
        one_of("norm", self.norm, NORMS)
        whole("examples", self.examples, at_least=1)

    def propose(self, context: Round) -> Proposal:
        """Chooses the candidates with the highest gain per marginal cost.

        Raises:
            SplittingError: neurons are copied, not added fresh.
        """
        return propose_candidates(
            context,
            new_gains(step_norm(self.norm, context.model.optimizer)),
            method="gradmax",
            told=repr(self),
            share=self.share,
            examples=self.examples,
            improve=ascending(self.passes),
            improve_cost=self.passes * ASCENT_COST,
        )


def ascending(passes: int) -> Improve:
    """What turns candidates by some passes of power iteration."""

    def improve(
        model: keras.Model,
        graph: ChannelGraph,
        sample: Sample,
        widths: Mapping[str, int],
    ) -> dict[str, dict[str, np.ndarray]]:
        ascent = Ascent(model, graph, sample, widths)
        for _ in range(passes):
            ascent.step()
            reestimate_batch_statistics(model, sample)
        return ascent.incoming()

    return improve


class Ascent:
    """Turns candidates to where the gradient at their outgoing weights is largest.

    Args:
        model: with the candidates in it, behind the old neurons of each space; their
            incoming weights are set.
        graph: its trace.
        sample: that the gradient is taken on.
        widths: of each growable space without them.
    """

    def __init__(
        self,
        model: keras.Model,
        graph: ChannelGraph,
        sample: Sample,
        widths: Mapping[str, int],
    ) -> None:
        self._model, self._graph, self._sample = model, graph, sample
        self._widths = widths
        self._neurons = Neurons(graph)
        self._norms = self._neurons.norms()

    def step(self) -> None:
        """One step of power iteration, for all candidates."""
        self._turn(self.slopes()[0])

    def slopes(self) -> tuple[OutgoingGradients, float]:
        """How the gradients' squared norm changes with incoming weights.

        Returns:
            Gradients by incoming weights with the outgoing ones moved by some multiple
            of their own gradient, and that multiple: times 2, and divided by it, they
            are derivatives of the squared norm.
        """
        outgoing = outgoing_gradients(self._model, self._graph, self._sample)
        before = [as_numpy(slot.variable) for slot in outgoing.slots]
        size = self._size(outgoing, before)
        for slot, kernel, gradient in zip(
            outgoing.slots, before, outgoing.halves[0], strict=True
        ):
            moved = kernel + size * gradient * self._along(slot, self._new(slot))
            slot.variable.assign(moved.astype(kernel.dtype))
        incoming = outgoing_gradients(
            self._model, self._graph, self._sample, role="produced"
        )
        for slot, kernel in zip(outgoing.slots, before, strict=True):
            slot.variable.assign(kernel)
        return incoming, size

    def incoming(self) -> dict[str, dict[str, np.ndarray]]:
        """Incoming weights of the candidates, from old neurons, by space and kernel."""
        found: dict[str, dict[str, np.ndarray]] = {space: {} for space in self._widths}
        for slot in self._produced():
            kernel = as_numpy(slot.variable)
            weight = self._graph.weight(slot.weight)
            for use in weight.axes:
                if use.axis != slot.axis and use.role == "consumed":
                    ids = lay.spread(use.layout, self._is_new())
                    kernel = np.take(kernel, np.flatnonzero(~ids), use.axis)
            for space in self._widths:
                own = np.flatnonzero(self._numbers(slot)[space] >= 0)
                if len(own):
                    found[space][slot.weight] = np.take(kernel, own, slot.axis)
        return found

    def _produced(self) -> list[Slot]:
        return [slot for slot in self._neurons.slots if slot.role == "produced"]

    def _size(self, outgoing: OutgoingGradients, before: list[np.ndarray]) -> float:
        """By how much of their gradient the outgoing weights move."""
        sizes = [
            float(NUDGE * np.linalg.norm(kernel) / norm)
            for slot, kernel, gradient in zip(
                outgoing.slots, before, outgoing.halves[0], strict=True
            )
            if (norm := np.linalg.norm(gradient * self._along(slot, self._new(slot))))
        ]
        return min(sizes, default=1.0)

    def _turn(self, incoming: OutgoingGradients) -> None:
        """Puts candidates along their gradients, at right angles in each space."""
        wanted = [
            self._blind(slot, gradient)
            for slot, gradient in zip(incoming.slots, incoming.halves[0], strict=True)
        ]
        for space in self._widths:
            parts = [
                (slot, np.flatnonzero(self._numbers(slot)[space] >= 0), array)
                for slot, array in zip(incoming.slots, wanted, strict=True)
            ]
            parts = [part for part in parts if len(part[1])]
            self._turn_space(parts)

    def _turn_space(self, parts: list[tuple[Slot, np.ndarray, np.ndarray]]) -> None:
        rows = []
        for slot, where, array in parts:
            ids = slot.ids[where] - slot.ids[where].min()
            count = ids.max() + 1
            taken = np.moveaxis(np.take(array, where, slot.axis), slot.axis, 0)
            # A neuron's positions side by side.
            order = np.argsort(ids, kind="stable")
            rows.append(taken.reshape(len(where), -1)[order].reshape(count, -1))
        if not rows:
            return
        joined = np.concatenate(rows, axis=1)
        # As many as there are directions; what is zero on every example has none.
        turned, _ = np.linalg.qr(joined.T)
        rank = np.linalg.matrix_rank(joined)
        turned = turned.T[:rank]
        start = 0
        for (slot, where, _), row in zip(parts, rows, strict=True):
            width = row.shape[1]
            own = turned[:, start : start + width]
            start += width
            self._assign(slot, where, own)

    def _assign(self, slot: Slot, where: np.ndarray, own: np.ndarray) -> None:
        """Sets the first candidates' slices along these directions."""
        kernel = as_numpy(slot.variable).copy()
        ids = slot.ids[where] - slot.ids[where].min()
        order = np.argsort(ids, kind="stable")
        repeats = len(where) // (ids.max() + 1)
        places = where[order][: len(own) * repeats]
        view = np.moveaxis(kernel, slot.axis, 0)
        slices = own.reshape(len(places), *view.shape[1:])
        others = tuple(range(1, slices.ndim))
        norms = np.sqrt(np.square(slices).sum(others, keepdims=True))
        old = np.sqrt(np.square(view[places]).sum(others, keepdims=True))
        view[places] = np.where(
            norms > 0, slices / np.where(norms > 0, norms, 1) * old, view[places]
        )
        slot.variable.assign(kernel)

    def _blind(self, slot: Slot, gradient: np.ndarray) -> np.ndarray:
        """A gradient without what reads other candidates."""
        for use in self._graph.weight(slot.weight).axes:
            if use.axis != slot.axis and use.role == "consumed":
                old = ~lay.spread(use.layout, self._is_new())
                shape = [1] * gradient.ndim
                shape[use.axis] = -1
                gradient = gradient * old.reshape(shape)
        return gradient

    def _is_new(self) -> dict[str, np.ndarray]:
        """Which neurons of every space are candidates."""
        return {
            space.name: np.arange(space.width)
            >= self._widths.get(space.name, space.width)
            for space in self._graph.spaces
        }

    def _numbers(self, slot: Slot) -> dict[str, np.ndarray]:
        return candidate_numbers(self._neurons, slot, self._widths)

    def _new(self, slot: Slot) -> np.ndarray:
        """Which positions of a slot are candidates'."""
        return np.any([each >= 0 for each in self._numbers(slot).values()], axis=0)

    def _along(self, slot: Slot, values: np.ndarray) -> np.ndarray:
        shape = [1] * len(slot.variable.shape)
        shape[slot.axis] = -1
        return values.reshape(shape)
