"""What a model costs at any widths: MACs, parameters, or a user's function.

In: a `ChannelGraph` and widths.
Out: numbers, and the products they are sums of.
Imports from: tracing, support.
"""

from tf_splitting.costs.base import Cost, TermCost, total
from tf_splitting.costs.macs import (
    MACS,
    count_macs,
    growable_share,
    macs_by_space,
    macs_of_layers,
    macs_per_layer,
    macs_terms,
)
from tf_splitting.costs.params import (
    PARAMS,
    count_params,
    params_per_layer,
    params_terms,
)
from tf_splitting.costs.registry import COSTS, get_cost

__all__ = [
    "COSTS",
    "MACS",
    "PARAMS",
    "Cost",
    "TermCost",
    "count_macs",
    "count_params",
    "get_cost",
    "growable_share",
    "macs_by_space",
    "macs_of_layers",
    "macs_per_layer",
    "macs_terms",
    "params_per_layer",
    "params_terms",
    "total",
]
