"""Re-estimates batch-normalization statistics around a split.

Moving means and variances lag behind the weights in a short round, and after a step as
large as the weights they describe neurons that are gone. Training mode does not care;
inference mode, in which splits are estimated and losses reported, would.
"""

from __future__ import annotations

import keras

from tf_splitting.data import Sample
from tf_splitting.tracing import layers_in


def reestimate_batch_statistics(model: keras.Model, sample: Sample) -> None:
    """Sets moving means and variances to their averages over the sample.

    Layers that are not trainable keep theirs, as they do in training.
    """
    layers = [
        layer
        for layer in layers_in(model)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
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
