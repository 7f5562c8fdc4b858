"""Moving statistics become those of the sample, and nothing else changes."""

import keras
import numpy as np
from keras import layers

from tf_splitting.data.sampling import draw_sample
from tf_splitting.training.batch_statistics import reestimate_batch_statistics


def test_statistics_are_the_sample_means_of_each_batch():
    generator = np.random.default_rng(0)
    x = generator.normal(3, 2, (64, 4)).astype("float32")
    inner = keras.Sequential([keras.Input((4,)), layers.BatchNormalization(name="bn")])
    frozen = layers.BatchNormalization(name="frozen", trainable=False)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, frozen(inner(inputs)))
    sample = draw_sample((x, np.zeros(64)), size=64, batch_size=16)

    reestimate_batch_statistics(model, sample)

    bn = inner.get_layer("bn")
    batches = np.stack([batch.x for batch in sample.batches])
    np.testing.assert_allclose(bn.moving_mean, batches.mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(
        bn.moving_variance, batches.var(axis=1).mean(axis=0), rtol=1e-4
    )
    assert bn.momentum == 0.99
    np.testing.assert_array_equal(frozen.moving_mean, 0)
    np.testing.assert_array_equal(bn.gamma, 1)
