"""What a fixed model has become, with its sizes open as they were."""

import keras
import numpy as np
import pytest
from composites import Backwards
from keras import layers

from tf_splitting import (
    RemovalPlan,
    SplitPlan,
    remove,
    split,
    to_functional,
    trace,
)
from tf_splitting.errors import RebuildError
from tf_splitting.layers import convert, is_splittable
from tf_splitting.rebuilding import reopened


def model_of(name="inner"):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((None, None, 2))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = Backwards(name=name)(x)
    x = layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x, name="seed")
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


def batch(side=8):
    generator = np.random.default_rng(0)
    x = generator.standard_normal((16, side, side, 2)).astype("float32")
    return x, generator.standard_normal((16, 3)).astype("float32")


def as_it_was(fixed):
    return fixed


def wider(fixed):
    return split(fixed, SplitPlan({"conv": [1], "inner/first": [0, 2]}))


def wider_and_back(fixed):
    """As wide as it was, but the layer has become a model of what is in it."""
    plan = RemovalPlan({"inner/first": [1, 3]})
    return remove(split(fixed, SplitPlan({"inner/first": [0, 2]})), plan)


@pytest.mark.parametrize(
    "became", [pytest.param(as_it_was, marks=pytest.mark.slow), wider, wider_and_back]
)
def test_it_computes_the_same_and_trains_on_the_same_at_any_size(became):
    given = model_of()
    fixed = to_functional(given, batch()[0])
    fixed.fit(*batch(), verbose=0)
    fixed = became(fixed)
    before = given.get_weights()
    new = reopened(fixed, given)
    assert fixed.input_shape == (None, 8, 8, 2)
    assert new.input_shape == (None, None, None, 2)
    # As wide, at another size.
    alike = to_functional(new, batch(11)[0])
    for side, other in ((8, fixed), (11, alike)):
        x, _ = batch(side)
        np.testing.assert_allclose(new(x), other(x), rtol=1e-5, atol=1e-6)
    for a, b in zip(fixed.optimizer.variables, new.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    losses = [each.fit(*batch(), verbose=0).history["mae"] for each in (fixed, new)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    for a, b in zip(before, given.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_neurons_have_the_numbers_that_they_had():
    inputs = keras.Input((None, 2))
    x = layers.Dense(4, name="up")(inputs) * np.arange(1.0, 5.0, dtype="float32")
    outputs = layers.Dense(3, name="down")(layers.GlobalAveragePooling1D()(x))
    given = keras.Model(inputs, outputs, name="seed")
    given.compile("sgd", "mse")
    x = np.random.default_rng(0).standard_normal((2, 7, 2)).astype("float32")
    grown = split(to_functional(given, x[:, :4]), SplitPlan({"up": [0, 3]}))
    new = reopened(grown, given)
    np.testing.assert_allclose(new(x[:, :4]), grown(x[:, :4]), rtol=1e-5, atol=1e-6)
    assert new(x).shape == (2, 3)


def test_layers_stay_of_the_given_models_classes():
    given = convert(model_of())
    fixed = to_functional(given, batch()[0])
    assert is_splittable(reopened(wider(fixed), given))


def test_another_model_is_refused():
    other = keras.Sequential([keras.Input((5,)), layers.Dense(3)])
    with pytest.raises(RebuildError, match=r"'seed' has other variables") as caught:
        reopened(other, model_of())
    assert caught.value.model is other


def test_graphs_of_one_model_fit_at_all_sizes():
    given = model_of()
    graph = trace(given)
    assert graph.fits(trace(given, input_shape=(8, 9, 2)))
    assert not graph.fits(trace(wider(given)))
    assert not graph.fits(trace(model_of(name="other")))
