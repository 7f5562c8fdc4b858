"""Weights copied by layer name: what is loaded, what is skipped, what is refused."""

import keras
import numpy as np
import pytest
import tiers

from tf_splitting import models
from tf_splitting.errors import ModelError

# Keras 3.15 copies arrays by NumPy 1's protocol when it saves, and NumPy 2 warns.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)

SHAPE = (32, 32, 3)


@pytest.fixture(scope="module")
def source():
    return keras.applications.MobileNet(
        input_shape=SHAPE, alpha=0.25, weights=None, classes=6
    )


def small_v1(classes: int = 6, **options) -> keras.Model:
    options = {"widths": "full", "width_multiplier": 0.25, **options}
    return models.mobilenet_v1(SHAPE, classes, **options)


@pytest.mark.slow
def test_another_number_of_classes_skips_only_the_classifier(source):
    model = small_v1(classes=4)
    report = models.load_application_weights(model, source)
    assert report.skipped == {
        "conv_preds": "source (1, 1, 256, 6) (6,), model (1, 1, 256, 4) (4,)"
    }
    assert len(report.loaded) == 54
    np.testing.assert_array_equal(
        model.get_layer("conv_pw_5").kernel, source.get_layer("conv_pw_5").kernel
    )


@pytest.mark.parametrize(
    "file",
    tiers.some(["model.keras", "network.weights.h5", "network.h5"], ["model.keras"]),
)
def test_files_give_what_the_model_gives(source, tmp_path, file):
    if file == "network.weights.h5":
        source.save_weights(tmp_path / file)
    elif file == "network.h5":
        _save_legacy(source, tmp_path / file)
    else:
        source.save(tmp_path / file)
    model = small_v1()
    report = models.load_application_weights(model, tmp_path / file)
    assert report.skipped == {}
    for mine, theirs in zip(model.weights, source.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def _save_legacy(model: keras.Model, path) -> None:
    """The layout of the files that keras.applications downloads."""
    import h5py

    with h5py.File(path, "w") as file:
        weighted = model.layers
        file.attrs["layer_names"] = [layer.name.encode() for layer in weighted]
        for layer in weighted:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{w.name}:0" for w in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, value in zip(names, layer.get_weights(), strict=True):
                group[name] = value


@pytest.mark.slow
def test_layers_on_one_side_only_are_reported():
    source = keras.applications.MobileNetV2(
        input_shape=SHAPE, alpha=0.35, weights=None, classes=6
    )
    model = models.mobilenet_v2(
        SHAPE, 6, widths="full", width_multiplier=0.35, shortcut="conv"
    )
    report = models.load_application_weights(model, source)
    assert report.skipped["block_2_shortcut"] == "not in the source"
    assert "block_2_expand" in report.loaded


def test_a_source_of_which_nothing_fits_is_refused(source):
    model = models.mobilenet_v2(SHAPE, 6)
    with pytest.raises(ModelError, match="no layer has the same name"):
        models.load_application_weights(model, source)


@pytest.mark.parametrize(
    ("model", "where", "message"),
    [
        (lambda: small_v1(widths="seed"), "imagenet", "does not have the widths"),
        (lambda: keras.Sequential(), "imagenet", "not a MobileNet"),
        (small_v1, "nowhere.h5", "no file 'nowhere.h5'"),
    ],
)
def test_sources_that_cannot_be_had_are_refused(model, where, message):
    with pytest.raises(ModelError, match=message):
        models.load_application_weights(model(), where)


@pytest.mark.slow
def test_a_file_of_another_network_is_refused(tmp_path):
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(ModelError, match="not a weights file of"):
        models.load_application_weights(small_v1(), tmp_path / "other.weights.h5")


def test_imagenet_without_a_network_says_so(monkeypatch):
    def no_network(*args, **kwargs):
        raise RuntimeError("URL fetch failure on https://example.invalid")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", no_network)
    with pytest.raises(ModelError, match=r"could not be downloaded.*URL fetch failure"):
        models.load_application_weights(small_v1(), "imagenet")
