"""What a model leaves open stays open in what a job makes of it."""

import keras
import numpy as np
import pytest
import tiers
from composites import Causal, Residual
from interrupted import KillAt, KillError, assert_same_model, timeless
from keras import layers

from tf_splitting import (
    GrowthHistory,
    count_macs,
    grow,
    reallocate,
    shrink,
    trace,
    train,
)

CLASSES, WORDS = 3, 7
SHORT = {"epochs": 1, "final_epochs": 1, "verbose": 0}

pytestmark = pytest.mark.usefixtures("deterministic")


def compiled(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


def convolutional(shape, widths=(4, 5)):
    """Fully convolutional, with all kinds of state: statistics, moments, seeds."""
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input(shape, name="image")
    x = layers.Conv2D(widths[0], 3, strides=2, use_bias=False, name="first")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Activation("relu", name="relu")(x)
    x = layers.Conv2D(widths[1], 3, padding="same", name="second")(x)
    x = layers.Dropout(0.2, seed=1, name="dropout")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return compiled(keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x)))


def textual(shape, widths=(4, 5)):
    """A text classifier, whose convolution sees three words."""
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input(shape, dtype="int32", name="words")
    x = layers.Embedding(WORDS, widths[0], name="first")(x)
    x = layers.Conv1D(widths[1], 3, activation="relu", name="second")(x)
    x = layers.GlobalMaxPooling1D(name="pool")(x)
    return compiled(keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x)))


def images(shape, count=48):
    generator = np.random.default_rng(0)
    y = generator.integers(0, CLASSES, count)
    x = generator.standard_normal((count, *shape)) + np.eye(3)[y][:, None, None]
    return x.astype("float32"), y


def texts(shape, count=48):
    x = np.random.default_rng(0).integers(0, WORDS, (count, *shape))
    return x.astype("int32"), x.sum(axis=1) % CLASSES


# How a model is built and what it learns from; its input, that of the data, another.
KINDS = {
    "convolutional": (convolutional, images, (None, None, 3), (9, 8, 3), (13, 20, 3)),
    "textual": (textual, texts, (None,), (8,), (21,)),
}


def job(kind, shape=None, grows=2.0, **changes):
    """Runs the job; `(model, history)`. It is open unless it gets a shape."""
    build, data, free, sized, _ = KINDS[kind]
    history = GrowthHistory()
    macs = count_macs(build(sized))
    grown = grow(
        build(shape or free),
        data(sized),
        target_macs=[m * macs for m in grows] if np.ndim(grows) else grows * macs,
        history=history,
        **{"rounds": 1, "batch_size": 16, "method": "uniform", **SHORT, **changes},
    )
    return grown, history


def assert_open(model, kind):
    """It takes other sizes, and computes what a model built for that size does."""
    build, data, free, sized, other = KINDS[kind]
    assert model.input_shape == (None, *free)
    widths = trace(model).layer_widths()
    for shape in (sized, other):
        alike = build(shape, (widths["first"], widths["second"]))
        alike.set_weights(model.get_weights())
        x, _ = data(shape, 4)
        expected = alike(x, training=False)
        np.testing.assert_allclose(model(x, training=False), expected, atol=1e-5)


@pytest.mark.parametrize("kind", tiers.some(KINDS, ["convolutional"]))
def test_it_grows_as_a_model_of_that_size_does_and_stays_open(kind):
    sized = KINDS[kind][3]
    grown, history = job(kind)
    assert_open(grown, kind)
    alike, fixed = job(kind, sized)
    assert_same_model(grown, alike)
    assert timeless(history) == timeless(fixed)
    assert count_macs(grown, sized) == count_macs(alike) == history.rounds[-1].macs
    assert history.seed.macs < count_macs(alike) <= 2 * history.seed.macs


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_resumed_it_ends_the_same_and_open(kind, tmp_path):
    whole, history = job(kind)
    saved = {"checkpoint_dir": tmp_path, "save_steps": 2}
    # Behind the split, in the middle of an epoch.
    with pytest.raises(KillError):
        job(kind, callbacks=[KillAt(7)], **saved)
    resumed, again = job(kind, **saved)
    assert_same_model(whole, resumed)
    assert timeless(history) == timeless(again)
    assert_open(resumed, kind)


FAMILY = {"kind": "convolutional", "grows": (1.5, 2.5)}


@pytest.mark.slow
def test_every_member_of_a_family_is_open():
    handed = []
    family, _ = job(
        **FAMILY, on_member=lambda model, member: handed.append((model, member.macs))
    )
    for one, (other, macs) in zip(family, handed, strict=True):
        assert one is other
        assert_open(one, "convolutional")
        assert count_macs(one, KINDS["convolutional"][3]) == macs


@pytest.mark.slow
def test_a_family_that_was_killed_is_the_same_and_open(tmp_path):
    family, _ = job(**FAMILY)
    saved = {"checkpoint_dir": tmp_path, "save_steps": 2}
    # While the second grows: the first is read again.
    with pytest.raises(KillError):
        job(**FAMILY, callbacks=[KillAt(11)], **saved)
    resumed, _ = job(**FAMILY, **saved)
    for one, other in zip(family, resumed, strict=True):
        assert_same_model(one, other)
        assert_open(other, "convolutional")


JOBS = {
    "shrink": lambda *of, macs: shrink(*of, target_macs=0.8 * macs, rounds=1, **SHORT),
    "reallocate": lambda *of, macs: reallocate(*of, rounds=1, **SHORT),
    "train": lambda *of, macs: train(*of, epochs=1, verbose=0),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", JOBS)
def test_the_other_jobs_leave_sizes_open_too(name, kind):
    build, data, free, sized, _ = KINDS[kind]
    macs = count_macs(build(sized))
    result, alike = (
        JOBS[name](build(shape), data(sized), macs=macs) for shape in (free, sized)
    )
    assert_open(result, kind)
    assert_same_model(result, alike)


def composite(shape, width=5):
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input(shape)
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = Residual(width, name="residual")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return compiled(keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x)))


def test_a_layer_that_becomes_a_model_takes_other_sizes():
    _, data, free, sized, other = KINDS["convolutional"]
    macs = count_macs(composite(sized))
    grown = grow(
        composite(free),
        data(sized),
        target_macs=2 * macs,
        max_widths={"conv": 4},
        rounds=2,
        method="uniform",
        **SHORT,
    )
    assert grown.input_shape == (None, *free)
    width = trace(grown).layer_widths()["residual/conv"]
    assert width > 5
    alike, (x, _) = composite(other, width), data(other, 4)
    alike.set_weights(grown.get_weights())
    np.testing.assert_allclose(grown(x), alike(x), atol=1e-5)


class Places(layers.Layer):
    """A row for each place: it is made for one length."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], name="table")

    def call(self, x):
        return x + self.table

    def trace_channels(self, tracer, x):
        tracer.carry(self.table, 1, x)
        return tracer.channelwise(tracer.call.run, x)


def placed(length):
    places = Places(name="places")
    places.build((None, 8, 4))
    words = keras.Input((length,), dtype="int32")
    x = places(layers.Dense(4)(layers.Embedding(WORDS, 4)(words)))
    x = layers.Dense(6, "relu", name="hidden")(x)
    x = layers.GlobalAveragePooling1D()(x)
    return compiled(keras.Model(words, layers.Dense(CLASSES)(x)))


def causal(length):
    words = keras.Input((length,), dtype="int32")
    x = Causal(name="causal")(layers.Embedding(WORDS, 4)(words))
    x = layers.GlobalAveragePooling1D()(x)
    return compiled(keras.Model(words, layers.Dense(CLASSES)(x)))


@pytest.mark.parametrize("build", tiers.some([placed, causal], [placed]))
def test_what_grows_at_one_size_only_comes_back_with_it(build):
    macs = count_macs(build(8))
    grown = grow(
        build(None),
        texts((8,)),
        target_macs=1.5 * macs,
        rounds=1,
        method="uniform",
        **SHORT,
    )
    assert grown.input_shape == (None, 8)
    assert macs < count_macs(grown) <= 1.5 * macs


@pytest.mark.slow
def test_to_train_layers_need_not_be_looked_into():
    x, y = texts((8,))
    trained = train(causal(None), (x, y), epochs=1, verbose=0)
    assert trained.input_shape == (None, None)
    alike = causal(8)
    alike.set_weights(trained.get_weights())
    np.testing.assert_allclose(trained(x), alike(x), atol=1e-5)
    assert trained(x[:, :3]).shape == (48, CLASSES)
    assert train(placed(None), (x, y), epochs=1, verbose=0).input_shape == (None, 8)
