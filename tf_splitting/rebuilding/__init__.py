"""From a plan to the model it asks for, with weights, optimizer state and settings.

In: a model, a `SplitPlan` with directions, or a `RemovalPlan`.
Out: the model rebuilt, checked against its plan.
Imports from: selecting, estimating, tracing, data, support.
"""

from tf_splitting.rebuilding.fresh import STARTS, FreshStart, Start
from tf_splitting.rebuilding.functional import own_methods, to_functional
from tf_splitting.rebuilding.gathering import Gathering
from tf_splitting.rebuilding.growth import Growth, moved, offsets
from tf_splitting.rebuilding.optimizer_state import OPTIMIZER_STATES, OptimizerState
from tf_splitting.rebuilding.rebuild import resized
from tf_splitting.rebuilding.removing import remove, removed, what_stays
from tf_splitting.rebuilding.reopening import reopened
from tf_splitting.rebuilding.scaling import scale
from tf_splitting.rebuilding.splitting import (
    FRESH,
    Splitting,
    check_start,
    check_step,
    reclassed,
    split,
)

__all__ = [
    "FRESH",
    "OPTIMIZER_STATES",
    "STARTS",
    "FreshStart",
    "Gathering",
    "Growth",
    "OptimizerState",
    "Splitting",
    "Start",
    "check_start",
    "check_step",
    "moved",
    "offsets",
    "own_methods",
    "reclassed",
    "remove",
    "removed",
    "reopened",
    "resized",
    "scale",
    "split",
    "to_functional",
    "what_stays",
]
