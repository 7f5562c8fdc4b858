"""How a job is kept: what it saves, when, and how it comes back.

In: a job's model, history and state; a directory.
Out: checkpoints that are whole or not there, and the job as it was saved last.
Imports from: methods, training, rebuilding, selecting, estimating, tracing, support.
"""

from tf_splitting.jobs.checkpoints.locking import lock
from tf_splitting.jobs.checkpoints.store import CheckpointStore
from tf_splitting.jobs.configuration import describe_model, describe_training, plain
from tf_splitting.jobs.job_state import ESTIMATED, TRAINING, JobState
from tf_splitting.jobs.random_state import random_state_kept
from tf_splitting.jobs.resuming import Keeper, Resumed
from tf_splitting.jobs.saving import Saving

__all__ = [
    "ESTIMATED",
    "TRAINING",
    "CheckpointStore",
    "JobState",
    "Keeper",
    "Resumed",
    "Saving",
    "describe_model",
    "describe_training",
    "lock",
    "plain",
    "random_state_kept",
]
