"""Learning rates around growth that the library does not have: to compare with its own.

Source of separate rates: Yuan, Savarese, Maire, "Accelerated Training via Incrementally
Growing Neural Networks using Variance Transfer and Learning Rate Adaptation", 2023,
arXiv 2306.12700.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


class WarmUp(keras.callbacks.Callback):
    """Raises the rate from zero in a straight line after every split.

    Args:
        batches: until it is what it would be.
    """

    def __init__(self, batches: int) -> None:
        super().__init__()
        self._batches = batches
        self._phases = 0
        self._passed = 0
        self._rate = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._phases += 1
        self._passed = 0
        self._rate = float(np.asarray(self.model.optimizer.learning_rate))

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._passed += 1
        if self._phases == 1 or self._passed > self._batches:
            return
        # The decay is slow: in so few batches the rate is hardly lower than at first.
        self.model.optimizer.learning_rate = self._rate * self._passed / self._batches


class AdamApart(keras.optimizers.Adam):
    """Adam with factors of the rate for parts of variables.

    Attributes:
        factors: by path of the variable, as its values. Read when the step is compiled;
            an optimizer made anew has none.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.factors: dict[str, np.ndarray] = {}

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        variables = trainable_variables or []
        slower = [v for v in variables if v.path in self.factors]
        before = [keras.ops.copy(v) for v in slower]
        super().apply(grads, trainable_variables)
        for variable, was in zip(slower, before, strict=True):
            step = variable - was
            variable.assign(was + self.factors[variable.path] * step)


class OldRate(keras.callbacks.Callback):
    """After every split, neurons that were there go on at a share of the rate.

    New neurons stand behind the old ones in the networks of the comparisons, so that
    what was there is the leading block of every weight.

    Args:
        ratio: rate of old neurons over that of new ones.
    """

    def __init__(self, ratio: float) -> None:
        super().__init__()
        self._ratio = ratio
        self._before: list[np.ndarray] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        variables = self.model.trainable_variables
        for variable, before in zip(variables, self._before, strict=False):
            old = tuple(map(slice, before.shape))
            if not np.array_equal(np.asarray(variable)[old], before):
                raise ValueError(f"{variable.path} does not begin with what it was.")
            factors = np.ones(variable.shape, "float32")
            factors[old] = self._ratio
            self.model.optimizer.factors[variable.path] = factors

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._before = [np.array(v) for v in self.model.trainable_variables]
