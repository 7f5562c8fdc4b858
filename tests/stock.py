"""The model-building functions of keras.applications, small and alive.

Found by inspection, so that a function Keras adds is built and tested too.
"""

import inspect
from contextlib import contextmanager

import keras
import nets
import numpy as np
from keras import layers

BUILDERS = dict(inspect.getmembers(keras.applications, inspect.isfunction))
CLASSES = 5
SIZE = 64
# Some refuse smaller images; in others rounding grows too much at few positions.
LARGER = {
    "EfficientNetB7": 96,
    "InceptionResNetV2": 75,
    "InceptionV3": 128,
    "Xception": 71,
}
BATCH = 8


def build(name, top):
    """A model with random weights for small images, ending in logits or features."""
    size = LARGER.get(name, SIZE)
    return BUILDERS[name](
        weights=None,
        input_shape=(size, size, 3),
        include_top=top,
        classes=CLASSES,
        classifier_activation=None,
    )


def alive(model, seed=1):
    """Sets weights such that signals pass; yields images to see it with.

    Fresh kernels shrink signals until only biases are left, and ConvNeXt starts its
    blocks at a scale of 1e-6. Statistics of normalizations are exactly those of the
    images: with others, signals explode in the deepest networks, and rounding with
    them. Images are in [0, 255], as many of the networks rescale theirs.
    """
    nets.randomized(model, seed)
    shape = (BATCH, *model.input_shape[1:])
    images = np.random.default_rng(seed).uniform(0, 255, shape).astype(np.float32)
    norms = [n for n in model.layers if isinstance(n, layers.BatchNormalization)]
    dropouts = [d for d in model.layers if isinstance(d, layers.Dropout)]
    if norms:
        with temporarily(norms, "momentum", 0.0), temporarily(dropouts, "rate", 0.0):
            model(images, training=True)
    return images


@contextmanager
def temporarily(objects, attribute, value):
    """All objects have this value while it lasts."""
    before = [getattr(o, attribute) for o in objects]
    for o in objects:
        setattr(o, attribute, value)
    yield
    for o, value in zip(objects, before, strict=True):
        setattr(o, attribute, value)
