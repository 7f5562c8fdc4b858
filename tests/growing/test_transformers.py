"""Small transformers are grown in heads and hidden widths, and are plain Keras then."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

import tf_splitting

WORDS, LENGTH, WIDTH = 11, 12, 16
# What a process does that has never heard of this package.
LOADING = """
import sys
sys.modules["tf_splitting"] = None
import keras, numpy as np
x, expected = np.load("x.npy"), np.load("expected.npy")
model = keras.saving.load_model("grown.keras")
np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=0, atol=1e-5)
"""


def block(x, number, **attention):
    y = layers.LayerNormalization()(x)
    heads = layers.MultiHeadAttention(1, 8, name=f"heads_{number}")
    x = x + heads(y, y, **attention)
    y = layers.LayerNormalization()(x)
    y = layers.Dense(8, "gelu", name=f"hidden_{number}")(y)
    return x + layers.Dense(WIDTH)(y)


def language_model():
    """Every word from those before, and sequences that can be told from two words."""
    inputs = keras.Input((LENGTH,), dtype="int32")
    x = layers.Embedding(WORDS, WIDTH)(inputs)
    x = x + layers.Embedding(LENGTH, WIDTH)(ops.arange(LENGTH))
    for number in range(2):
        x = block(x, number, use_causal_mask=True)
    x = layers.LayerNormalization()(x)
    generator = np.random.default_rng(0)
    first, step = generator.integers(0, WORDS, (2, 768, 1))
    words = (first + step * np.arange(LENGTH + 1)) % WORDS
    model = keras.Model(inputs, layers.Dense(WORDS)(x), name="language_model")
    return model, words[:, :-1], words[:, 1:]


def vision_transformer():
    """Images of which one quarter is brighter, and which one that is."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(WIDTH, 2, 2)(inputs)
    x = layers.Add()([x, layers.DepthwiseConv2D(3, padding="same")(x)])
    x = layers.Reshape((16, WIDTH))(x)
    for number in range(2):
        x = block(x, number)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    generator = np.random.default_rng(0)
    x_train = generator.standard_normal((256, 8, 8, 3)).astype("float32")
    y_train = generator.integers(0, 4, 256)
    for image, label in zip(x_train, y_train, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[row : row + 4, column : column + 4] += 1
    model = keras.Model(inputs, layers.Dense(4)(x), name="vision_transformer")
    return model, x_train, y_train


@pytest.mark.slow
@pytest.mark.parametrize(
    "build", [language_model, vision_transformer], ids=lambda build: build.__name__
)
def test_a_grown_transformer_is_plain_keras(build, tmp_path):
    model, x, y = build()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    before = model.evaluate(x, y, verbose=0, return_dict=True)
    budget = 2 * tf_splitting.count_macs(model)
    grown = tf_splitting.grow(
        model, (x, y), target_macs=budget, training_epochs=10, rounds=2, verbose=0
    )
    assert 0.9 * budget < tf_splitting.count_macs(grown) <= budget
    widths = tf_splitting.trace(grown).widths
    old = tf_splitting.trace(model).widths
    changed = {name for name in old if widths[name] > old[name]}
    assert any("heads" in name for name in changed)
    assert any("hidden" in name for name in changed)
    after = grown.evaluate(x, y, verbose=0, return_dict=True)
    assert after["loss"] < 0.7 * before["loss"]
    assert type(grown.get_layer("heads_0")) is layers.MultiHeadAttention
    grown.save(tmp_path / "grown.keras")
    np.save(tmp_path / "x.npy", x[:8])
    np.save(tmp_path / "expected.npy", grown.predict(x[:8], verbose=0))
    subprocess.run([sys.executable, "-c", LOADING], cwd=tmp_path, check=True)
