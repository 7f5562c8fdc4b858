"""Grow Keras models by splitting neurons.

    grown = tf_splitting.grow(model, dataset, target_macs=2e8)

and its parts, each usable alone: trace -> estimate -> select -> split.
"""

from tf_splitting import data, layers, methods, models
from tf_splitting.costs import (
    count_macs,
    count_params,
    macs_per_layer,
    params_per_layer,
)
from tf_splitting.errors import Interrupted, SplittingError
from tf_splitting.estimation import estimate
from tf_splitting.estimators import Exact, Rayleigh
from tf_splitting.graph import ChannelGraph, ChannelSpace
from tf_splitting.growing import grow, train
from tf_splitting.history import GrowthHistory
from tf_splitting.interruption import request_stop, stop_on_signals
from tf_splitting.plan import SplitPlan
from tf_splitting.rebuilding import split
from tf_splitting.scores import SplittingScores
from tf_splitting.selection import select
from tf_splitting.tracing import trace

__version__ = "0.1.0"

__all__ = [
    "ChannelGraph",
    "ChannelSpace",
    "Exact",
    "GrowthHistory",
    "Interrupted",
    "Rayleigh",
    "SplitPlan",
    "SplittingError",
    "SplittingScores",
    "count_macs",
    "count_params",
    "data",
    "estimate",
    "grow",
    "layers",
    "macs_per_layer",
    "methods",
    "models",
    "params_per_layer",
    "request_stop",
    "select",
    "split",
    "stop_on_signals",
    "trace",
    "train",
]
