"""Arrays in a model with a number for each channel: they change as weights do."""

import keras
import nets
import numpy as np
import pytest
from keras import layers, ops

from tf_splitting import (
    RemovalPlan,
    SplitPlan,
    count_macs,
    remove,
    scale,
    split,
    trace,
)
from tf_splitting.errors import ModelError

FACTORS = np.array([0.5, -1.0, 2.0, 3.0], "float32")


def model_of(other=lambda x, array: x):
    """`other` does something with the same array that is no number for a neuron."""
    inputs = keras.Input((5,))
    x = layers.Dense(4, "tanh", name="up")(inputs)
    x = layers.Dense(4, name="down")(x * FACTORS + ops.arange(4.0))
    return nets.randomized(keras.Model(inputs, other(x, FACTORS), name="model"))


def test_a_neuron_brings_its_number_along():
    model = model_of()
    x = nets.images(model)
    grown = split(model, SplitPlan({"up": [1, 1, 3]}), epsilon=0.0, verify=x)
    assert nets.difference(nets.outputs(model, x), nets.outputs(grown, x)) < 1e-6
    hidden = keras.Model(grown.input, grown.get_layer("down").input)(x)
    before = keras.Model(model.input, model.get_layer("down").input)(x)
    expected = np.asarray(before)[:, [0, 1, 2, 3, 1, 1, 3]]
    np.testing.assert_allclose(hidden, expected, rtol=1e-6)


def test_a_neuron_takes_its_number_with_it():
    model = model_of()
    x, plan = nets.images(model), RemovalPlan({"up": [0, 2]})
    smaller = remove(model, plan, verify=x)
    with nets.silenced(model, trace(model), plan):
        expected = nets.outputs(model, x)
    assert nets.difference(expected, nets.outputs(smaller, x)) < 1e-6


def test_the_same_array_elsewhere_stays_as_it_is():
    model = model_of(lambda x, array: x * array)
    x = nets.images(model)
    assert [space.name for space in trace(model).growable] == ["up"]
    grown = split(model, SplitPlan({"up": [2]}), epsilon=0.0)
    assert nets.difference(nets.outputs(model, x), nets.outputs(grown, x)) < 1e-6


def test_saved_and_loaded(tmp_path):
    model = model_of()
    x = nets.images(model)
    grown = split(model, SplitPlan({"up": [0, 3]}), epsilon=0.0)
    grown.save(tmp_path / "grown.keras")
    loaded = keras.saving.load_model(tmp_path / "grown.keras")
    assert nets.difference(nets.outputs(model, x), nets.outputs(loaded, x)) < 1e-6
    assert trace(loaded).space("up").width == 6


def test_nobody_knows_them_at_any_other_width():
    model = model_of()
    with pytest.raises(ModelError, match="has a number of its own for every channel"):
        scale(model, target_macs=3 * count_macs(model))
    # No larger than it is, nothing is asked for.
    same = scale(model, target_macs=count_macs(model))
    assert count_macs(same) == count_macs(model)
