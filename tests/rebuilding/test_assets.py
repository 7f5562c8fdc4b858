"""Vocabularies that layers were adapted to go along, though no config holds them."""

import keras
import numpy as np
import pytest
from keras import layers

from tf_splitting import (
    GrowthHistory,
    SplitPlan,
    count_macs,
    grow,
    split,
    to_functional,
)

TEXTS = np.array([["the cat sat"], ["the mat"], ["a cat on the mat"], ["on the cat"]])

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Keras looks texts up by TensorFlow"
)


def words():
    layer = layers.TextVectorization(output_sequence_length=6, name="words")
    layer.adapt(TEXTS)
    return layer


def looked_up():
    layer = layers.StringLookup(name="words")
    layer.adapt(TEXTS)
    return layer


def classifier(vocabulary):
    x = inputs = keras.Input((1,), dtype="string")
    x = layers.Embedding(20, 4, name="table")(vocabulary(x))
    x = layers.Dense(5, "tanh", name="hidden")(layers.GlobalAveragePooling1D()(x))
    model = keras.Model(inputs, layers.Dense(3, name="logits")(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    return model


def computed(model):
    return keras.ops.convert_to_numpy(model(keras.ops.convert_to_tensor(TEXTS)))


@pytest.mark.parametrize("vocabulary", [words, looked_up])
def test_a_vocabulary_goes_along(vocabulary, tmp_path):
    model = classifier(vocabulary())
    grown = split(model, SplitPlan({"hidden": [0], "table": [1]}), epsilon=0.0)
    theirs, ours = (m.get_layer("words").get_vocabulary() for m in (model, grown))
    assert ours == theirs
    assert len(ours) > 2
    np.testing.assert_allclose(computed(grown), computed(model), atol=1e-6)
    grown.save(tmp_path / "grown.keras")
    loaded = keras.saving.load_model(tmp_path / "grown.keras", compile=False)
    np.testing.assert_array_equal(computed(loaded), computed(grown))


def test_it_goes_along_where_sizes_are_fixed():
    x = inputs = keras.Input((None,), dtype="string")
    x = layers.Embedding(20, 4)(looked_up()(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    fixed = to_functional(model, keras.KerasTensor((None, 1), "string"))
    assert fixed is not model
    np.testing.assert_allclose(computed(fixed), computed(model), atol=1e-6)


@pytest.mark.slow
def test_a_model_of_texts_grows():
    import tensorflow as tf

    model = classifier(words())
    data = tf.data.Dataset.from_tensor_slices((TEXTS, [0, 1, 2, 0])).repeat(8).batch(4)
    history = GrowthHistory()
    target = 2 * count_macs(model)
    grown = grow(model, data, target_macs=target, epochs=1, history=history, verbose=0)
    assert count_macs(model) < count_macs(grown) <= target
    assert grown.get_layer("words").get_vocabulary()[2:]
