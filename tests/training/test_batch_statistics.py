"""Moving statistics become those of the sample, and nothing else changes."""

import keras
import numpy as np
import pytest
from keras import layers

from tf_splitting import GrowthHistory, train
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


def normalizing(momentum):
    """A model whose inputs are far from what its statistics start at."""
    keras.utils.set_random_seed(0)
    normalization = layers.BatchNormalization(momentum=momentum, name="bn")
    model = keras.Sequential([keras.Input((4,)), normalization, layers.Dense(2)])
    model.compile(
        "sgd",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    generator = np.random.default_rng(0)
    x = generator.normal(5, 3, (96, 4)).astype("float32")
    return model, (x, (x[:, 0] > x[:, 1]).astype(int))


class Moved(keras.callbacks.Callback):
    """Whether statistics change between the last step of an epoch and its end."""

    def __init__(self):
        super().__init__()
        self.changed = []

    def mean(self):
        return np.array(self.model.get_layer("bn").moving_mean)

    def on_train_batch_end(self, batch, logs=None):
        self.before = self.mean()

    def on_epoch_end(self, epoch, logs=None):
        self.changed.append(not np.array_equal(self.mean(), self.before))


# Six steps an epoch.
@pytest.mark.parametrize(("momentum", "lags"), [(0.99, True), (0.001, False)])
@pytest.mark.parametrize("validated", [False, True])
def test_what_lags_when_an_epoch_ends_is_fitted(momentum, lags, validated):
    model, data = normalizing(momentum)
    moved, history = Moved(), GrowthHistory()
    trained = train(
        model,
        data,
        epochs=2,
        batch_size=16,
        validation_data=data if validated else None,
        callbacks=[moved],
        history=history,
        verbose=0,
    )
    assert moved.changed == [lags, lags]
    # After twelve steps a moving average would have gone a ninth of the way.
    np.testing.assert_allclose(trained.get_layer("bn").moving_mean, 5, atol=2)
    if validated:
        loss = trained.evaluate(*data, verbose=0)[0]
        assert history.epochs[-1]["val_loss"] == pytest.approx(loss, rel=1e-5)
