"""How neurons are exchanged: settings that `reallocate` and the end of `grow` share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tf_splitting.estimating import Rayleigh, SecondOrder
from tf_splitting.methods import Splitting
from tf_splitting.rebuilding import FreshStart
from tf_splitting.selecting import DEFAULT_MOVED

# Of the step that gains are predicted for: what `split` takes by default.
GAIN_STEP = 0.1
# Of the estimator of gains. More examples settle more than better directions do.
PASSES = 3


@dataclass(frozen=True)
class Exchanges:
    """What is exchanged, and by what.

    Attributes:
        selection: what `select_exchanges` takes, but for the share that is moved.
        start: what a fresh neuron carries along.
        moved: share of the cost that is moved in a round at most.
        step: relative step that gains are predicted for.
        fold: whether mean outputs of removed neurons are folded.
    """

    selection: dict[str, Any]
    start: FreshStart
    moved: float = DEFAULT_MOVED
    step: float = GAIN_STEP
    fold: bool = True

    @property
    def losing(self) -> SecondOrder:
        """What measures losses."""
        return SecondOrder(self.fold)

    @property
    def gaining(self) -> Splitting:
        """What measures gains, on examples that directions were not fitted to."""
        return Splitting(Rayleigh(passes=PASSES), epsilon=self.step, held_out=True)
