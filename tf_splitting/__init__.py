"""Grow Keras models by splitting neurons.

    grown = tf_splitting.grow(model, dataset, target_macs=2e8)

and its parts, each usable alone: trace -> estimate -> select -> split.
"""

import tf_splitting.as_program  # (first: it keeps greetings of backends back)
import tf_splitting.requirements  # noqa: F401  (it refuses an old Keras)
from tf_splitting import data, exporting, layers, methods, models
from tf_splitting.costs import (
    count_macs,
    count_params,
    macs_per_layer,
    params_per_layer,
)
from tf_splitting.errors import Interrupted, SplittingError
from tf_splitting.estimating import (
    Exact,
    NormalizationScale,
    Rayleigh,
    RemovalScores,
    SecondOrder,
    SplittingScores,
    Taylor,
    WeightNorm,
    estimate,
    estimate_removals,
)
from tf_splitting.growing import GrowthLogger, grow, reallocate, shrink, train
from tf_splitting.rebuilding import remove, scale, split, to_functional
from tf_splitting.selecting import (
    ExchangePlan,
    RemovalPlan,
    SplitPlan,
    select,
    select_exchanges,
    select_removals,
)
from tf_splitting.support import VERSION, request_stop, stop_on_signals
from tf_splitting.tracing import ChannelGraph, ChannelSpace, trace
from tf_splitting.training import GrowthHistory, Member

__version__ = VERSION

__all__ = [
    "ChannelGraph",
    "ChannelSpace",
    "Exact",
    "ExchangePlan",
    "GrowthHistory",
    "GrowthLogger",
    "Interrupted",
    "Member",
    "NormalizationScale",
    "Rayleigh",
    "RemovalPlan",
    "RemovalScores",
    "SecondOrder",
    "SplitPlan",
    "SplittingError",
    "SplittingScores",
    "Taylor",
    "WeightNorm",
    "count_macs",
    "count_params",
    "data",
    "estimate",
    "estimate_removals",
    "exporting",
    "grow",
    "layers",
    "macs_per_layer",
    "methods",
    "models",
    "params_per_layer",
    "reallocate",
    "remove",
    "request_stop",
    "scale",
    "select",
    "select_exchanges",
    "select_removals",
    "shrink",
    "split",
    "stop_on_signals",
    "to_functional",
    "trace",
    "train",
]
