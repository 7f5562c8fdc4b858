"""Networks of `keras.applications` by name, and weights from wherever they are."""

import keras
import numpy as np
import pytest

from tf_splitting.errors import ModelError, UnknownNameError
from tf_splitting.models import (
    application_name,
    application_names,
    build_application,
    load_published,
    published,
)

SHAPE = (32, 32, 3)


def published_network(classes=1000, **options):
    return keras.applications.MobileNet(
        weights=None,
        input_shape=SHAPE,
        classes=classes,
        classifier_activation=None,
        **options,
    )


@pytest.fixture(scope="module")
def network():
    return build_application("MobileNet", SHAPE, classes=10)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype("float32")


def test_names_may_be_spelt_in_other_ways():
    assert application_name("ResNet50") == "ResNet50"
    assert application_name("resnet50_v2") == "ResNet50V2"
    assert application_name("resnet51") is None
    # What differs in case and underscores alone would be ambiguous.
    assert len({application_name(n.lower()) for n in application_names()}) == 40


def test_what_is_none_of_them_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'ResNet50'"):
        build_application("ResNet51")


def test_a_size_that_the_network_does_not_take_is_refused():
    with pytest.raises(ModelError, match=r"InceptionV3.*32 x 32.*another size"):
        build_application("InceptionV3", SHAPE)


@pytest.mark.slow
@pytest.mark.parametrize(
    "file",
    ["twin.weights.h5", pytest.param("twin.keras", marks=pytest.mark.slow)],
)
def test_the_function_is_the_published_one_of_raw_pixels(pixels, tmp_path, file):
    twin = published_network(classes=10)
    (twin.save_weights if "weights" in file else twin.save)(tmp_path / file)
    model = build_application("mobilenet", SHAPE, classes=10)
    report = load_published(model, "MobileNet", tmp_path / file)
    assert report.skipped == {}
    prepared = keras.applications.mobilenet.preprocess_input(pixels.copy())
    np.testing.assert_allclose(model(pixels), twin(prepared), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        pytest.param({}, "source (1, 1, 1024, 1000) (1000,)", marks=pytest.mark.slow),
        pytest.param({"include_top": False}, "not in", marks=pytest.mark.slow),
    ],
    ids=["1000 classes", "no classifier"],
)
def test_a_classifier_of_other_classes_stays_random(network, tmp_path, options, why):
    twin = published_network(**options)
    twin.save_weights(tmp_path / "w.weights.h5")
    head = network.get_layer("conv_preds").get_weights()
    report = load_published(network, "MobileNet", tmp_path / "w.weights.h5")
    assert list(report.skipped) == ["conv_preds"]
    assert why in report.skipped["conv_preds"]
    for name in ("conv1", "conv_pw_13"):
        mine, others = (m.get_layer(name).get_weights() for m in (network, twin))
        np.testing.assert_array_equal(mine[0], others[0])
    np.testing.assert_array_equal(
        network.get_layer("conv_preds").get_weights()[0], head[0]
    )


def test_weights_of_another_network_are_refused(network, tmp_path):
    other = keras.Sequential([keras.Input(SHAPE), keras.layers.Conv2D(3, 3)])
    other.save(tmp_path / "other.keras")
    with pytest.raises(ModelError, match="another network than"):
        load_published(network, "MobileNet", tmp_path / "other.keras")


@pytest.mark.slow
def test_a_file_of_other_weights_is_refused(network, tmp_path):
    other = keras.Sequential([keras.Input(SHAPE), keras.layers.Conv2D(3, 3)])
    other.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(ModelError, match="holds no weights of MobileNet"):
        load_published(network, "MobileNet", tmp_path / "other.weights.h5")


def test_weights_that_are_not_there_are_told(network, monkeypatch):
    with pytest.raises(ModelError, match=r"no weights file 'none\.h5'"):
        load_published(network, "MobileNet", "none.h5")

    def unreachable(*_, **__):
        raise Exception("URL fetch failure on https://...: None -- unreachable")

    monkeypatch.setattr(published, "published_application", unreachable)
    with pytest.raises(ModelError, match=r"cannot be downloaded: URL.*random weights"):
        load_published(network, "MobileNet", "imagenet")
