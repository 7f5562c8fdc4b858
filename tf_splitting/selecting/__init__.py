"""From scores to a plan: which neurons to split, remove or exchange within a budget.

In: `SplittingScores`, a `ChannelGraph`, a cost and limits.
Out: a `SplitPlan`, `RemovalPlan` or `ExchangePlan`, plain data that can be printed,
    saved and edited.
Imports from: estimating, costs, tracing, support.
"""

from tf_splitting.selecting.exchange_plan import ExchangePlan
from tf_splitting.selecting.exchange_selection import (
    DEFAULT_MOVED,
    select_exchanges,
)
from tf_splitting.selecting.moves import Moves
from tf_splitting.selecting.plan import SplitPlan
from tf_splitting.selecting.removal_plan import RemovalPlan
from tf_splitting.selecting.removal_selection import losses_of, select_removals
from tf_splitting.selecting.selection import gains_of, select

__all__ = [
    "DEFAULT_MOVED",
    "ExchangePlan",
    "Moves",
    "RemovalPlan",
    "SplitPlan",
    "gains_of",
    "losses_of",
    "select",
    "select_exchanges",
    "select_removals",
]
