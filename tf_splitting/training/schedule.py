"""How a job is laid out: budgets of the rounds, epochs of the phases.

Growing rounds are short and run at a constant learning rate; the decay belongs to one
long final phase. Rounds with a full decay each spend the epochs where the network is
small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tf_splitting.support import arguments


@dataclass(frozen=True)
class Schedule:
    """Budgets after each split, and epochs of each phase.

    Attributes:
        targets: MACs that each round may grow the model to; the last is the target.
        epochs: epochs before each split.
        final_epochs: epochs after the last one.
    """

    targets: tuple[float, ...]
    epochs: int
    final_epochs: int

    @property
    def rounds(self) -> int:
        """Number of splits planned."""
        return len(self.targets)

    @property
    def total_epochs(self) -> int:
        """Epochs of the whole job as planned."""
        return self.rounds * self.epochs + self.final_epochs

    def remaining_work(self, epoch: int, macs: float) -> float:
        """Sum of MACs over the epochs that are left after `epoch`, as planned."""
        budgets = [macs, *self.targets]
        per_epoch = [m for m in budgets[:-1] for _ in range(self.epochs)]
        per_epoch += [budgets[-1]] * self.final_epochs
        return sum(max(m, macs) for m in per_epoch[epoch:])


def plan_rounds(
    macs: float,
    target: float,
    *,
    rounds: int | None,
    growth: float,
    epochs: int,
    final_epochs: int,
) -> Schedule:
    """Lays out rounds whose budgets grow by one ratio up to the target.

    Raises:
        SplittingError: a number is out of range.
    """
    arguments.whole("rounds", rounds, at_least=1, or_none=True)
    arguments.number("growth", growth, above=1)
    arguments.whole("epochs", epochs, at_least=0)
    arguments.whole("final_epochs", final_epochs, at_least=0)
    if rounds is None:
        rounds = max(1, math.ceil(math.log(target / macs) / math.log(growth) - 1e-9))
    ratio = (target / macs) ** (1 / rounds)
    targets = (*(macs * ratio**k for k in range(1, rounds)), float(target))
    return Schedule(targets, epochs, final_epochs)


class CosineDecay(keras.callbacks.Callback):
    """Lowers the learning rate from its value to zero along half a cosine.

    The rate follows the batches where their number is known, else the epochs. When
    training ends the optimizer has its first rate back, ready to train on.

    Args:
        epochs: length of the decay.
        first_epoch: number of the epoch that it starts with.
        peak: the rate it starts from; default: the optimizer's when training begins.
    """

    def __init__(
        self, epochs: int, first_epoch: int = 0, peak: float | None = None
    ) -> None:
        super().__init__()
        self._epochs = epochs
        self._first_epoch = first_epoch
        self._given = peak
        self._peak = 0.0 if peak is None else peak
        self._done = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._given is None:
            self._given = float(np.asarray(self.model.optimizer.learning_rate))
            self._peak = self._given

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._done = epoch - self._first_epoch

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        within = batch / self.params["steps"] if self.params.get("steps") else 0.0
        passed = min((self._done + within) / self._epochs, 1.0)
        rate = self._peak * 0.5 * (1 + math.cos(math.pi * passed))
        self.model.optimizer.learning_rate = rate

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.model.optimizer.learning_rate = self._peak
