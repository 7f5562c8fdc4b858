"""Layers that compute with more than their kernel are frozen, by name."""

import keras
import pytest
from keras import layers

from tf_splitting import trace

MIDDLES = {
    "dense": ((6,), lambda: layers.Dense(4, name="middle")),
    "convolution": ((5, 5, 6), lambda: layers.Conv2D(4, 3, name="middle")),
    "embedding": ((6,), lambda: layers.Embedding(9, 4, name="middle")),
}


def model_around(shape, middle):
    x = inputs = keras.Input(shape)
    x = layers.Flatten()(layers.Activation("relu")(middle(x)))
    return keras.Model(inputs, layers.Dense(3, name="logits")(x))


@pytest.mark.parametrize(("shape", "middle"), MIDDLES.values(), ids=MIDDLES)
def test_layers_with_lora_are_frozen(shape, middle):
    model = model_around(shape, middle())
    assert trace(model).space("middle").frozen is None
    model.get_layer("middle").enable_lora(2)
    assert "'middle' is quantized or uses LoRA" in trace(model).space("middle").frozen


@pytest.mark.parametrize("name", ["dense", "embedding"])
def test_quantized_layers_are_frozen(name):
    shape, middle = MIDDLES[name]
    model = model_around(shape, middle())
    model.get_layer("middle").quantize("int8")
    assert "'middle' is quantized or uses LoRA" in trace(model).space("middle").frozen
