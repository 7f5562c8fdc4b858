"""Training, phase by phase, so that it can begin at any batch; and measuring.

In: a compiled model and data of any kind.
Out: the trained model, a `GrowthHistory`, losses on a sample.
Imports from: estimating, tracing, data, support.
"""

from tf_splitting.training.batch_statistics import (
    FittingStatistics,
    reestimate_batch_statistics,
)
from tf_splitting.training.data_checks import check_batch, check_data, check_loss
from tf_splitting.training.data_watch import Watched
from tf_splitting.training.dividing import Divided, divide
from tf_splitting.training.epoch_watch import EpochWatch
from tf_splitting.training.epochs import (
    Recorder,
    StopOnNonFinite,
    run_epochs,
    set_values,
)
from tf_splitting.training.feeds import Feed, as_feed, set_validation_aside
from tf_splitting.training.history import (
    OF_EPOCHS,
    GrowthHistory,
    Member,
    RoundRecord,
    Seed,
)
from tf_splitting.training.measuring import measure
from tf_splitting.training.rates import CosineDecay
from tf_splitting.training.schedule import (
    ComputeSchedule,
    EpochSchedule,
    Progress,
    Schedule,
    compute_schedules,
    round_targets,
)

__all__ = [
    "OF_EPOCHS",
    "ComputeSchedule",
    "CosineDecay",
    "Divided",
    "EpochSchedule",
    "EpochWatch",
    "Feed",
    "FittingStatistics",
    "GrowthHistory",
    "Member",
    "Progress",
    "Recorder",
    "RoundRecord",
    "Schedule",
    "Seed",
    "StopOnNonFinite",
    "Watched",
    "as_feed",
    "check_batch",
    "check_data",
    "check_loss",
    "compute_schedules",
    "divide",
    "measure",
    "reestimate_batch_statistics",
    "round_targets",
    "run_epochs",
    "set_validation_aside",
    "set_values",
]
