"""Checkpoints of a job that may be killed at any moment. NumPy only."""

from tf_splitting.jobs.checkpoints.checkpoint import Checkpoint
from tf_splitting.jobs.checkpoints.locking import lock
from tf_splitting.jobs.checkpoints.store import CheckpointStore

__all__ = ["Checkpoint", "CheckpointStore", "lock"]
