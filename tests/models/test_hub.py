"""Presets of KerasHub; without it, what to install."""

import sys

import keras
import numpy as np
import presets
import pytest

from tf_splitting import trace
from tf_splitting.errors import ModelError
from tf_splitting.models import (
    build_preset,
    explain_hub_name,
    hub_is_installed,
    image_presets,
    is_preset,
    is_preset_folder,
)

SCALE, OFFSET = [0.1, 0.2, 0.3], [1.0, 0.0, -1.0]


@pytest.fixture
def without_hub(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)


@pytest.fixture(scope="module")
def hub():
    return presets.keras_hub()


@pytest.fixture(scope="module")
def folder(hub, tmp_path_factory):
    """A preset in a folder: `(path, its classifier)`."""
    path = tmp_path_factory.mktemp("preset") / "tiny-res.net"
    converter = hub.layers.ResNetImageConverter(
        image_size=(24, 24), scale=SCALE, offset=OFFSET
    )
    classifier = hub.models.ImageClassifier(
        backbone=presets.backbone(hub),
        num_classes=7,
        preprocessor=hub.models.ResNetImageClassifierPreprocessor(converter),
    )
    classifier.save_to_preset(str(path))
    return str(path), classifier


def test_without_kerashub_nothing_is_guessed(without_hub):
    assert not hub_is_installed()
    assert not is_preset("resnet_18_imagenet")
    assert image_presets() == ()
    assert explain_hub_name("ViTBackbone") is None
    with pytest.raises(ModelError, match="pip install keras-hub"):
        build_preset("resnet_18_imagenet")


@pytest.mark.parametrize("text", ["{}", "[]", "class_name config", None])
def test_a_folder_that_holds_no_preset(tmp_path, text):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    assert not is_preset_folder(str(tmp_path))


def test_names_of_presets_are_known(hub):
    assert is_preset("resnet_18_imagenet")
    assert is_preset("hf://keras/resnet_18_imagenet")
    assert not is_preset("resnet_18")
    assert "vit_base_patch16_224_imagenet" in image_presets()


def test_the_name_of_a_class_is_no_model(hub):
    told = explain_hub_name("ViTBackbone")
    assert "vit_base_patch16_224_imagenet" in told
    assert "no preset that classifies images" in explain_hub_name("BertBackbone")
    assert explain_hub_name("ViTBackBone") is None


def test_a_preset_of_something_else_is_refused(hub):
    with pytest.raises(ModelError, match=r"bert_tiny_en_uncased.*Backbone"):
        build_preset("bert_tiny_en_uncased")


def test_a_folder_becomes_a_classifier_of_raw_pixels(folder):
    path, classifier = folder
    model = build_preset(path, classes=3, weights=True)
    assert model.name == "tiny_res_net"
    assert model.input_shape == (None, 24, 24, 3)
    assert model.output_shape == (None, 3)
    assert trace(model).growable
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 24, 24, 3))
    (inner,) = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    converted = (pixels * SCALE + OFFSET).astype("float32")
    features = classifier.backbone(converted)
    pooled = np.mean(np.asarray(features), axis=(1, 2))
    expected = pooled @ inner.layers[-1].kernel + inner.layers[-1].bias
    np.testing.assert_allclose(model(pixels), expected, rtol=1e-4, atol=1e-4)


def test_size_and_weights_are_asked_for(folder):
    path, classifier = folder
    # Every test begins with the seed that the preset was made with.
    keras.utils.set_random_seed(1)
    model = build_preset(path, 16, classes=3)
    assert model.input_shape == (None, 16, 16, 3)
    kernels = [
        m.get_layer("conv1_conv").kernel
        for m in (model.layers[-1].get_layer("res_net_backbone"), classifier.backbone)
    ]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3
