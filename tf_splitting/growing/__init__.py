"""`grow` and `train`: the rounds of training, proposing and splitting.

In: a compiled model, data, a budget.
Out: a grown model.
Imports from: every stage above and layers.
"""

from tf_splitting.growing.arguments import MEASURED, GrowArguments, TrainArguments
from tf_splitting.growing.checks import check_budget
from tf_splitting.growing.freeing import free_old_functions
from tf_splitting.growing.growing import grow, train
from tf_splitting.growing.step_size import DESCENT, build_at

__all__ = [
    "DESCENT",
    "MEASURED",
    "GrowArguments",
    "TrainArguments",
    "build_at",
    "check_budget",
    "free_old_functions",
    "grow",
    "train",
]
