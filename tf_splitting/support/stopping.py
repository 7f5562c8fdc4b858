"""A job that looks whether somebody has asked to stop, in all its processes at once.

What one process is asked stops them all: the others would wait for it, and then fail.
So every process has to look at the same points.
"""

from __future__ import annotations

from pathlib import Path

from tf_splitting.errors import Interrupted
from tf_splitting.support.interruption import (
    request_answered,
    request_stop,
    stop_requested,
)
from tf_splitting.support.placement import Placement

# Of a job with several processes, between two times that they ask each other.
STEPS_BETWEEN = 16


class Looks:
    """Says after which steps to look.

    After each, but for jobs that several processes share: asking the others takes a
    moment, in which no device computes.
    """

    def __init__(self, placement: Placement) -> None:
        self._every = 1 if placement.processes == 1 else STEPS_BETWEEN
        self._steps = 0

    def due(self) -> bool:
        """Whether to look now. To be called once a step."""
        self._steps += 1
        return self._steps % self._every == 0


def to_stop(placement: Placement) -> str | None:
    """Why the job is to stop, if it is."""
    reason = stop_requested()
    if placement.in_any_process(reason is not None) and reason is None:
        reason = "another of its processes was asked to"
        request_stop(reason)
    return reason


def raise_if_requested(placement: Placement, checkpoint: Path | None = None) -> None:
    """Raises if somebody has asked to stop. The request is then answered.

    Args:
        placement: of the job's model.
        checkpoint: what the job can go on from.

    Raises:
        Interrupted: somebody has.
    """
    reason = to_stop(placement)
    if reason is not None:
        request_answered()
        raise Interrupted(reason, checkpoint)
