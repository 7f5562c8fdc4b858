"""Re-estimates batch-normalization statistics, around a split and after short epochs.

Moving means and variances lag behind the weights in a short round, and after a step as
large as the weights they describe neurons that are gone. Training mode does not care;
inference mode, in which splits are estimated and losses reported, would.
"""

from __future__ import annotations

from typing import Any

import keras

from tf_splitting.data import Sample
from tf_splitting.tracing import layers_in

# A moving average lags if a tenth of an epoch's steps leaves more of it than this.
LAG = 0.05
# They are fitted to so many examples at most, and to a part of an epoch's, which that
# would make a twelfth longer.
EXAMPLES = 1024
PART = 1 / 4


def reestimate_batch_statistics(model: keras.Model, sample: Sample) -> None:
    """Sets moving means and variances to their averages over the sample.

    Layers that are not trainable keep theirs, as they do in training.
    """
    layers = _normalizations(model)
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    try:
        for count, batch in enumerate(sample.batches):
            for layer in layers:
                # moving = momentum * moving + (1 - momentum) * batch: a running mean.
                layer.momentum = count / (count + 1)
            model(batch.x, training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


class FittingStatistics(keras.callbacks.Callback):
    """Re-estimates batch statistics that lag when an epoch ends.

    They do while weights move fast: at a momentum of 0.9 after fewer than 300 steps, at
    0.99 after fewer than 3,000. So a model is evaluated, and ends, as what it has
    learned.

    Args:
        sample: what they are estimated on.
        rows: examples in a batch that is trained on.
        done: steps of the first epoch that were done before a resume.
    """

    def __init__(self, sample: Sample, rows: float, done: int = 0) -> None:
        super().__init__()
        self._sample = sample
        self._rows = rows
        self._done = done
        self._steps = 0
        self._fitted = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._steps, self._done = self._done, 0
        self._fitted = False

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._steps = batch + 1

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Validation, which comes before the end of its epoch."""
        self._fit()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._fit()

    def _fit(self) -> None:
        momenta = [layer.momentum for layer in _normalizations(self.model)]
        lagging = any(momentum ** (self._steps / 10) > LAG for momentum in momenta)
        if lagging and not self._fitted:
            examples = min(EXAMPLES, max(1, round(PART * self._steps * self._rows)))
            reestimate_batch_statistics(self.model, self._sample.part(0, examples))
            self._fitted = True


def _normalizations(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Those whose statistics move in training."""
    return [
        layer
        for layer in layers_in(model)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
