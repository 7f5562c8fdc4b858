"""What changes a job's model between its phases."""

from __future__ import annotations

from typing import Any, Protocol

import keras

from tf_splitting.growing.arguments import RoundsArguments
from tf_splitting.jobs import JobState
from tf_splitting.methods import Change


class Resizer(Protocol):
    """Changes a model's widths by one round, as often as it is asked."""

    @property
    def arguments(self) -> RoundsArguments:
        """What the user wants."""

    def is_done(self, model: keras.Model) -> bool:
        """Whether the model is as it is to be."""

    def propose(self, model: keras.Model, state: JobState, compute: float) -> Change:
        """Decides what to change. The state learns what was measured on the way.

        Args:
            model: trained so far.
            state: of the job.
            compute: most that it may take, in MACs of training steps times images.
        """

    def apply(self, model: keras.Model, proposal: Any, state: JobState) -> keras.Model:
        """Changes the model, measures and records.

        Args:
            model: trained so far.
            proposal: what `propose` returned.
            state: of the job.

        Raises:
            RebuildError: the new model is not what was planned.
        """

    def give_up(self, model: keras.Model, state: JobState) -> None:
        """Records that nothing can be changed any more."""
