"""TINY: what new neurons add to what the existing ones can already express.

With δ the gradient of an example's loss at what a consumer computes, z what it reads,
a step ΔW of its kernel moves that by ΔW z, and the best step for all neurons that are
there brings Σ |δ + ΔW z|² to a minimum. What remains of δ no existing neuron can
reduce: a new one gains by what it has in common with that, and once it is added, less
remains for the next. So the neurons of a layer are put in order, each the best behind
those before it, and the k-th gains less than the first, as far as they are alike.

In matrices, with A = E[z δ], C = E[z zᵀ] and o, n for old and new channels: projected,
A becomes R = A_n - C_no C_oo⁻¹ A_o and C becomes S = C_nn - C_no C_oo⁻¹ C_on; neuron k
gains |R_k|² / S_kk, and both are projected once more for those behind it. Moments are
taken between channels; a kernel that reads several positions of one (3x3) is treated
as if these were independent of each other and alike.

Source: Verbockhaven et al., "Growing Tiny Networks: Spotting Expressivity Bottlenecks
and Fixing Them Optimally", arXiv 2405.19816. There incoming weights are those that
gain most in a network without activations; here they are random candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tf_splitting.estimating import OutgoingGradients
from tf_splitting.methods.base import Proposal, Round
from tf_splitting.methods.scoring import candidate_numbers, propose_candidates
from tf_splitting.support import number, whole

# Of the mean second moment, added to each: what less than that tells apart is noise.
RIDGE = 1e-4


@dataclass(frozen=True)
class Tiny:
    """Score random fresh neurons by what they add to the existing ones.

    Args:
        share: candidates in every space, as a share of those that `max_growth` lets it
            grow by.
        examples: of the sample, at most.

    Raises:
        SplittingError: an argument is out of range.

    Example:
        >>> grown = tf_splitting.grow(model, ds, target_macs=2e8, method="tiny")
    """

    fresh_only: ClassVar[bool] = True

    share: float = 1.0
    examples: int = 2048

    def __post_init__(self) -> None:
        number("share", self.share, above=0)
        whole("examples", self.examples, at_least=1)

    def propose(self, context: Round) -> Proposal:
        """Chooses the candidates with the highest gain per marginal cost.

        Raises:
            SplittingError: neurons are copied, not added fresh.
        """
        return propose_candidates(
            context,
            projected_gains,
            method="tiny",
            told=repr(self),
            share=self.share,
            examples=self.examples,
            moments=True,
        )


def projected_gains(
    found: OutgoingGradients, widths: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """What each candidate gains behind the better ones of its space.

    Args:
        found: of the widened model, with moments.
        widths: of each space before.

    Returns:
        By space, `[candidates]`.
    """
    (gradients,) = found.halves
    parts: dict[str, list[_Projected]] = {space: [] for space in widths}
    grown = {space: found.neurons.graph.space(space).width for space in widths}
    for slot, gradient, moments in zip(
        found.slots, gradients, found.moments, strict=True
    ):
        rows = np.moveaxis(gradient, slot.axis, 0).reshape(len(slot.ids), -1)
        numbers = candidate_numbers(found.neurons, slot, widths)
        own = {space: each >= 0 for space, each in numbers.items()}
        old = ~np.any(list(own.values()), axis=0)
        for space, mine in own.items():
            if mine.any():
                projected = _Projected.of(
                    rows, moments, old, mine, numbers[space][mine]
                )
                parts[space].append(projected)
    return {
        space: _in_order(each, grown[space] - widths[space])
        for space, each in parts.items()
    }


@dataclass
class _Projected:
    """What one kernel's candidates have in common with what remains.

    Attributes:
        gradient: R, `[positions, outputs]`.
        moments: S, `[positions, positions]`.
        numbers: of the candidate at each position.
    """

    gradient: np.ndarray
    moments: np.ndarray
    numbers: np.ndarray

    @classmethod
    def of(
        cls,
        gradient: np.ndarray,
        moments: np.ndarray,
        old: np.ndarray,
        new: np.ndarray,
        numbers: np.ndarray,
    ) -> _Projected:
        """Projects out the old positions."""
        ridge = RIDGE * np.trace(moments) / len(moments)
        inner = moments[np.ix_(old, old)]
        inner = inner + (ridge or 1.0) * np.eye(len(inner))
        both = np.concatenate([gradient[old], moments[np.ix_(old, new)]], axis=1)
        solved = np.linalg.solve(inner, both)
        across = moments[np.ix_(new, old)] @ solved
        outputs = gradient.shape[1]
        own = moments[np.ix_(new, new)] - across[:, outputs:]
        own = own + (ridge or 1.0) * np.eye(len(own))
        return cls(gradient[new] - across[:, :outputs], own, numbers)

    def gains(self) -> np.ndarray:
        """Of each position, were it the next, `[positions]`."""
        return np.square(self.gradient).sum(1) / np.diag(self.moments)

    def add(self, number: int) -> float:
        """Projects out a candidate; what it gains."""
        gained = 0.0
        for place in np.flatnonzero(self.numbers == number):
            pivot = self.moments[place, place]
            row, column = self.gradient[place].copy(), self.moments[:, place].copy()
            gained += float(row @ row / pivot)
            self.gradient -= np.outer(column / pivot, row)
            self.moments -= np.outer(column / pivot, column)
            # It is of no more use.
            self.gradient[place] = 0
            self.moments[place, place] = pivot
        return gained


def _in_order(parts: list[_Projected], count: int) -> np.ndarray:
    """What each candidate gains, taken in the order in which the next is the best."""
    gains = np.zeros(count)
    left = np.ones(count, bool)
    for _ in range(count):
        each = np.zeros(count)
        for part in parts:
            np.add.at(each, part.numbers, part.gains())
        best = int(np.argmax(np.where(left, each, -np.inf)))
        gains[best] = sum(part.add(best) for part in parts)
        left[best] = False
    return gains
