"""Exported models compute the same, or do not appear."""

import warnings

import keras
import numpy as np
import pytest

from tf_splitting import RemovalPlan, remove, trace
from tf_splitting.errors import ModelError
from tf_splitting.exporting.formats import export_litert, export_saved_model
from tf_splitting.exporting.loading import ExportError, load_litert, load_saved_model
from tf_splitting.requirements import KERAS

EXPORTS = {
    "saved_model": ("folder", export_saved_model),
    "litert": ("model.tflite", export_litert),
}
WRITTEN = [kind for kind in EXPORTS if kind != "litert" or KERAS >= (3, 13)]


@pytest.fixture(scope="module")
def model():
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Conv2D(4, 3, activation="swish"),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(5),
        ]
    )


@pytest.fixture(autouse=True)
def converters_may_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("kind", WRITTEN)
def test_outputs_are_the_models(model, kind, tmp_path):
    file, export = EXPORTS[kind]
    path = tmp_path / file
    assert export(model, path) < 1e-5
    load = load_litert if kind == "litert" else lambda p: load_saved_model(p).run
    x = np.random.default_rng(5).normal(size=(3, 6, 6, 3)).astype("float32")
    np.testing.assert_allclose(load(path)(x), model(x), atol=1e-5)
    assert [p.name for p in tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("kind", WRITTEN)
def test_what_is_left_after_a_removal(model, kind, tmp_path):
    file, export = EXPORTS[kind]
    x = np.random.default_rng(5).normal(size=(8, 6, 6, 3)).astype("float32")
    (space,) = trace(model).growable
    plan = RemovalPlan({space.name: [0, 2]})
    smaller = remove(model, plan, dataset=(x, np.zeros((8, 5))))
    assert export(smaller, tmp_path / file) < 1e-5
    load = load_litert if kind == "litert" else lambda p: load_saved_model(p).run
    found = load(tmp_path / file)(x)
    np.testing.assert_allclose(found, smaller(x), atol=1e-5)
    assert np.abs(found - model(x)).max() > 1e-3


@pytest.mark.parametrize("kind", WRITTEN)
def test_what_differs_does_not_appear(model, kind, tmp_path):
    file, export = EXPORTS[kind]
    nowhere = np.full((2, 6, 6, 3), np.nan, "float32")
    with pytest.raises(ExportError, match="differ"):
        export(model, tmp_path / file, inputs=nowhere)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(KERAS >= (3, 13), reason="this Keras writes LiteRT")
def test_litert_that_keras_does_not_write_is_refused(model, tmp_path):
    with pytest.raises(ExportError, match=r"3\.13 and newer do.*pip install"):
        export_litert(model, tmp_path / "model.tflite")


def test_a_saved_model_knows_its_shapes(model, tmp_path):
    export_saved_model(model, tmp_path / "out")
    served = load_saved_model(tmp_path / "out")
    assert served.input_shape == (None, 6, 6, 3)
    assert served.output_shape == (None, 5)


def test_what_is_no_saved_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no SavedModel"):
        load_saved_model(tmp_path)


def test_free_sizes_need_inputs(tmp_path):
    model = keras.Sequential(
        [keras.Input((None, 3)), keras.layers.Conv1D(2, 3), keras.layers.Dense(1)]
    )
    with pytest.raises(ModelError, match="pass `inputs`"):
        export_saved_model(model, tmp_path / "out")
