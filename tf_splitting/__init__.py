"""Grow Keras models by splitting neurons."""

from tf_splitting import layers
from tf_splitting.costs import count_macs, count_params
from tf_splitting.estimation import estimate
from tf_splitting.estimators import Exact, Rayleigh
from tf_splitting.plan import SplitPlan
from tf_splitting.rebuilding import split
from tf_splitting.scores import SplittingScores
from tf_splitting.tracing import trace

__all__ = [
    "Exact",
    "Rayleigh",
    "SplitPlan",
    "SplittingScores",
    "count_macs",
    "count_params",
    "estimate",
    "layers",
    "split",
    "trace",
]
