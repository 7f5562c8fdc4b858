"""From a model and a sample to scores: what splits gain, and what removals cost.

In: a model, its `ChannelGraph`, a `Sample`.
Out: `SplittingScores` and `RemovalScores`, plain data. `product/` computes S·d for all
neurons at once; `estimators/` holds one file per way to find the lowest eigenvalues,
`removals/` one per way to tell what a neuron costs.
Imports from: data, tracing, support.
"""

from tf_splitting.estimating.directions import Directions, by_space, check_directions
from tf_splitting.estimating.estimation import (
    DEFAULT_SAMPLE_SIZE,
    DEFAULT_STEP,
    Estimation,
    check_growable,
    check_settings,
    estimate,
)
from tf_splitting.estimating.estimators.base import Eigenpairs, Estimator
from tf_splitting.estimating.estimators.exact import Exact
from tf_splitting.estimating.estimators.rayleigh import Rayleigh
from tf_splitting.estimating.outgoing import (
    Norm,
    OutgoingGradients,
    outgoing_gradients,
)
from tf_splitting.estimating.precision import in_float32
from tf_splitting.estimating.problem import SplittingProblem, flat_inputs
from tf_splitting.estimating.removals.base import RemovalEstimator
from tf_splitting.estimating.removals.estimation import (
    check_removal_estimator,
    estimate_removals,
    removal_scores,
)
from tf_splitting.estimating.removals.normalization_scale import NormalizationScale
from tf_splitting.estimating.removals.scores import RemovalScores
from tf_splitting.estimating.removals.second_order import SecondOrder
from tf_splitting.estimating.removals.silencing import Silencing
from tf_splitting.estimating.removals.taylor import Taylor
from tf_splitting.estimating.removals.weight_norm import WeightNorm
from tf_splitting.estimating.scores import (
    SpaceScores,
    SplittingScores,
    assemble,
    slices,
)
from tf_splitting.estimating.targets import check_labels, check_targets

__all__ = [
    "DEFAULT_SAMPLE_SIZE",
    "DEFAULT_STEP",
    "Directions",
    "Eigenpairs",
    "Estimation",
    "Estimator",
    "Exact",
    "Norm",
    "NormalizationScale",
    "OutgoingGradients",
    "Rayleigh",
    "RemovalEstimator",
    "RemovalScores",
    "SecondOrder",
    "Silencing",
    "SpaceScores",
    "SplittingProblem",
    "SplittingScores",
    "Taylor",
    "WeightNorm",
    "assemble",
    "by_space",
    "check_directions",
    "check_growable",
    "check_labels",
    "check_removal_estimator",
    "check_settings",
    "check_targets",
    "estimate",
    "estimate_removals",
    "flat_inputs",
    "in_float32",
    "outgoing_gradients",
    "removal_scores",
    "slices",
]
