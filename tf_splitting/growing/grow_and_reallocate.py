"""First growth, then exchanges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from tf_splitting.growing.arguments import RoundsArguments
from tf_splitting.growing.grower import Grower
from tf_splitting.growing.reallocator import Reallocator
from tf_splitting.growing.resizer import Resizer
from tf_splitting.jobs import JobState
from tf_splitting.methods import Change


@dataclass(frozen=True)
class GrowAndReallocate:
    """Grows a model until that is done, and then exchanges its neurons.

    Attributes:
        grower, reallocator: who does it.
    """

    grower: Grower
    reallocator: Reallocator

    @property
    def arguments(self) -> RoundsArguments:
        """What the user wants."""
        return self.grower.arguments

    def is_done(self, model: keras.Model) -> bool:
        """Whether nothing is left to do."""
        return self._current(model).is_done(model)

    def propose(self, model: keras.Model, state: JobState, compute: float) -> Change:
        """See `Resizer`."""
        return self._current(model).propose(model, state, compute)

    def apply(self, model: keras.Model, proposal: Any, state: JobState) -> keras.Model:
        """See `Resizer`."""
        return self._current(model).apply(model, proposal, state)

    def give_up(self, model: keras.Model, state: JobState) -> None:
        """See `Resizer`."""
        self._current(model).give_up(model, state)

    def _current(self, model: keras.Model) -> Resizer:
        # What exchanges leave over does not make the model grow again.
        if self.reallocator.done or self.grower.is_done(model):
            return self.reallocator
        return self.grower
