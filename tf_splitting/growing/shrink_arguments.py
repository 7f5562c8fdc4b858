"""What `shrink` takes besides a model and data, described once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tf_splitting.estimating import (
    RemovalEstimator,
    SecondOrder,
    check_removal_estimator,
)
from tf_splitting.growing.arguments import RoundsArguments
from tf_splitting.rebuilding import OptimizerState
from tf_splitting.support import arguments as given

# Of the training compute, before the last removal.
SHRINKING_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class ShrinkArguments(RoundsArguments):
    """What `shrink` takes.

    Args:
        target_macs: multiply-accumulates per example that the result may have.
        target_cost: what the result may cost at most, in the units of `cost`.
        rounds: number of removals; default: as many as `shrinkage` asks for.
        shrinkage: ratio by which the MACs shrink in a round, if `rounds` is not given.
        training_epochs: training compute of the whole job, as epochs of a model of
            `target_macs`; estimates count at what they cost. Larger models get fewer
            epochs for it.
        shrinking_share: share of `training_epochs` that is spent before the last
            removal, the first one included: 0 for a model that is trained already and
            one removal.
        estimator: `SecondOrder()` (the default), `Taylor()`, `NormalizationScale()`,
            `WeightNorm()`, or one of your own.
        fold: whether the mean outputs of removed neurons are folded into biases and
            batch statistics.
        min_widths: smallest width of every space, or of spaces by name.
        sample_size: examples that neurons are measured on. Default: 2,048.
    """

    target_macs: float
    target_cost: float = math.inf
    shrinkage: float = 1.5
    shrinking_share: float = SHRINKING_SHARE
    estimator: RemovalEstimator | None = None
    fold: bool = True
    # Nothing is new that it would not fit (README, "Does it pay?").
    optimizer_state: OptimizerState = "carry"
    min_widths: int | Mapping[str, int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        given.number("target_macs", self.target_macs, above=0)
        given.number("shrinkage", self.shrinkage, above=1)
        given.number("shrinking_share", self.shrinking_share, at_least=0, below=1)
        given.truth("fold", self.fold)
        if self.estimator is not None:
            check_removal_estimator(self.estimator)

    @property
    def chosen_estimator(self) -> RemovalEstimator:
        """The estimator."""
        return SecondOrder(self.fold) if self.estimator is None else self.estimator

    @property
    def selection(self) -> dict[str, Any]:
        """What `select_removals` takes, but for the budget of a round."""
        return {"cost": self.cost, **self.limits}

    @property
    def limits(self) -> dict[str, Any]:
        """What widths may become."""
        return {"width_multiple": self.width_multiple, "min_widths": self.min_widths}

    @property
    def configuration(self) -> dict[str, Any]:
        """What makes a job what it is: compared when it resumes."""
        own = {
            "target_macs": float(self.target_macs),
            "estimator": self.chosen_estimator,
        }
        return {**super().configuration, **own}
