"""`grow`, `shrink`, `reallocate`, `train`: rounds of training and changing widths.

In: a compiled model, data, a budget.
Out: a grown, smaller, reallocated or trained model.
Imports from: every stage above and layers.
"""

from tf_splitting.growing.arguments import MEASURED, TrainArguments
from tf_splitting.growing.checks import (
    check_budgets,
    check_reallocatable,
    check_shrinkable,
)
from tf_splitting.growing.freeing import free_old_functions
from tf_splitting.growing.grow_arguments import GrowArguments
from tf_splitting.growing.growing import grow, train
from tf_splitting.growing.logger import GrowthLogger
from tf_splitting.growing.reallocate_arguments import ReallocateArguments
from tf_splitting.growing.reallocating import reallocate
from tf_splitting.growing.shrink_arguments import ShrinkArguments
from tf_splitting.growing.shrinking import shrink
from tf_splitting.growing.step_size import DESCENT, build_at

__all__ = [
    "DESCENT",
    "MEASURED",
    "GrowArguments",
    "GrowthLogger",
    "ReallocateArguments",
    "ShrinkArguments",
    "TrainArguments",
    "build_at",
    "check_budgets",
    "check_reallocatable",
    "check_shrinkable",
    "free_old_functions",
    "grow",
    "reallocate",
    "shrink",
    "train",
]
