"""Candidates: random fresh neurons in every space, taken where they gain most.

The splitting index says what a copy would gain, to second order. What a fresh neuron
gains is of first order: the gradient at its zero outgoing weights. So every space is
given random candidates, all at once, for their outgoing weights are zero and change
nothing; one backward pass over the sample scores them; the best per cost are added, as
they were scored. The sum of a candidate's gradient is in the norm that the optimizer
moves by: squares for plain descent, absolute values for methods that move every weight
alike, such as Adam.

Source: the score is that of GradMax (Evci et al., arXiv 2201.05125), whose incoming
weights maximize it; here they are random. Firefly (Wu et al., arXiv 2102.08574) chooses
among random new neurons by the same gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from tf_splitting.methods.base import Proposal, Round
from tf_splitting.methods.scoring import (
    NORMS,
    new_gains,
    propose_candidates,
    step_norm,
)
from tf_splitting.support import number, one_of, truth, whole


@dataclass(frozen=True)
class Candidates:
    """Score random fresh neurons of every space by one backward pass, add the best.

    Args:
        share: candidates in every space, as a share of those that `max_growth` lets it
            grow by.
        norm: of a candidate's gradient: "absolute" values or "squares", summed; "auto"
            takes squares for SGD and absolute values for every other optimizer.
        examples: of the sample, at most.
        held_out: take as the gain what a step fitted to one half of the examples gains
            on the other half.

    Raises:
        SplittingError: an argument is out of range.

    Example:
        >>> method = tf_splitting.methods.Candidates(share=2.0)
        >>> grown = tf_splitting.grow(model, ds, target_macs=2e8, method=method)
    """

    fresh_only: ClassVar[bool] = True

    share: float = 1.0
    norm: Literal["auto", "absolute", "squares"] = "auto"
    examples: int = 2048
    held_out: bool = False

    def __post_init__(self) -> None:
        number("share", self.share, above=0)
        one_of("norm", self.norm, NORMS)
        whole("examples", self.examples, at_least=1)
        truth("held_out", self.held_out)

    def propose(self, context: Round) -> Proposal:
        """Chooses the candidates with the highest gain per marginal cost.

        Raises:
            SplittingError: neurons are copied, not added fresh.
        """
        return propose_candidates(
            context,
            new_gains(step_norm(self.norm, context.model.optimizer)),
            method="candidates",
            told=repr(self),
            share=self.share,
            examples=self.examples,
            halves=self.held_out,
        )
