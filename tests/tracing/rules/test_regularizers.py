"""Regularizers that know how wide a layer is keep it from growing; others do not."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from tf_splitting import SplitPlan, split, trace


def squared(x):
    """Of a matrix of three columns for each example."""
    return ops.sum(ops.square(ops.reshape(x, (-1, 3, 2))))


@keras.saving.register_keras_serializable("regularizers")
class InRows(keras.regularizers.Regularizer):
    """Of rows of six numbers."""

    def __call__(self, x):
        return ops.sum(ops.square(ops.reshape(x, (-1, 6))))


@keras.saving.register_keras_serializable("regularizers")
class Squares(keras.regularizers.Regularizer):
    """Of any shape."""

    def __call__(self, x):
        return ops.sum(ops.square(x))


def model(**options):
    x = inputs = keras.Input((4,))
    x = layers.Dense(6, "tanh", name="regular", **options)(x)
    x = layers.Dense(5, "tanh", name="free")(x)
    return keras.Model(inputs, layers.Dense(2, name="logits")(x))


@pytest.mark.parametrize(
    ("options", "growable"),
    [
        ({"activity_regularizer": squared}, {"free"}),
        ({"kernel_regularizer": InRows()}, {"free"}),
        ({"bias_regularizer": InRows()}, {"free"}),
        (
            {"activity_regularizer": "l2", "kernel_regularizer": "l1"},
            {"regular", "free"},
        ),
        ({"kernel_regularizer": Squares()}, {"regular", "free"}),
        ({"kernel_regularizer": "orthogonal_regularizer"}, {"regular", "free"}),
    ],
)
def test_what_takes_one_width_keeps_it(options, growable):
    seed = model(**options)
    graph = trace(seed)
    assert {space.name for space in graph.growable} == growable
    x = np.random.default_rng(0).standard_normal((3, 4)).astype("float32")
    grown = split(seed, SplitPlan({name: [0] for name in growable}), epsilon=0.0)
    np.testing.assert_allclose(grown(x), seed(x), atol=1e-5)
    # The regularizers of the new model can be called.
    assert len(grown.losses) == len(seed.losses)


def test_the_reason_names_the_layer():
    graph = trace(model(activity_regularizer=squared))
    assert graph.space("regular").frozen == (
        "the activity regularizer of 'regular' takes no other width"
    )
