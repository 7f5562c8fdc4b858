"""Data on Keras' JAX backend, without TensorFlow: this file in a process of its own.

    KERAS_BACKEND=jax python test_on_jax.py FOLDER RESULTS.npz

saves the batches it got, and facts; the tests compare them with those of `tf.data`.
"""

import os
import subprocess
import sys
from importlib.util import find_spec

import keras
import numpy as np
import pytest
from PIL import Image

from tf_splitting.data.loading import load
from tf_splitting.data.sampling import draw_sample
from tf_splitting.errors import DataError
from tf_splitting.support.placement import Placement
from tf_splitting.training.data_watch import Watched
from tf_splitting.training.feeds import as_feed

SHIPPED = "fashion_mnist_small"
OPTIONS = {"train_limit": 90, "test_limit": 20, "batch_size": 32, "seed": 5}
GREY = {"augment": True, "channels": 1, **OPTIONS}
GROWN = {"augment": True, "image_size": 40, **OPTIONS}
SHRUNK = {"image_size": 13, **OPTIONS}
FOLDER = {"image_size": 12, "augment": True, "batch_size": 4}

pytestmark = pytest.mark.skipif(find_spec("jax") is None, reason="needs jax")


def keep(found: dict[str, object], name: str, batches) -> None:
    """Keeps the images and labels of some batches, and whether they were NumPy's."""
    images, labels = zip(*batches, strict=True)
    found[f"{name}: images"] = np.concatenate(images)
    found[f"{name}: labels"] = np.concatenate(labels)
    found[f"{name}: host"] = isinstance(images[0], np.ndarray)


def fit(found: dict[str, object], place: str) -> None:
    """Trains for two epochs a model whose metrics Keras builds on a first batch."""
    data = load(SHIPPED, **GREY)
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    model.fit(data.train, epochs=2, validation_data=data.test, verbose=0)
    keep(found, f"{place}, after two epochs", [next(iter(data.train))])
    found[f"{place}, sample"] = draw_sample(data, size=20).size
    # Looks at every batch that it hands on.
    Watched(as_feed(data), model, Placement()).epochs(0)["x"][0]


def run(folder: str, results: str) -> None:
    """What the process does."""
    from tf_splitting.data import on_device

    found: dict[str, object] = {}
    for place, room in (("device", 2**30), ("host", 0)):
        on_device.UNREPORTED = room
        on_device._room.cache_clear()
        data = load(SHIPPED, **GREY)
        for epoch in (0, 1):
            keep(found, f"{place}, epoch {epoch}", data.train)
        keep(found, f"{place}, rest", data.epoch_dataset(1, first_batch=2))
        keep(found, f"{place}, test", data.test)
        keep(found, f"{place}, grown", load(SHIPPED, **GROWN).train)
        keep(found, f"{place}, shrunk", load(SHIPPED, **SHRUNK).train)
        keep(found, f"{place}, folder", load(folder, **FOLDER).train)

    on_device.UNREPORTED = 2**30
    on_device._room.cache_clear()
    fit(found, "device")
    two = keras.distribution.DataParallel(devices=["cpu:0", "cpu:1"])
    keras.distribution.set_distribution(two)
    fit(found, "two devices")

    found["tensorflow"] = "tensorflow" in sys.modules
    sys.modules["tensorflow"] = None
    try:
        load("mnist")
    except DataError as error:
        found["refused"] = str(error)
    np.savez(results, **found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("folder")
    rng = np.random.default_rng(0)
    for k in range(20):
        pixels = rng.integers(0, 256, (10 + k, 24 - k % 7, 3), np.uint8)
        path = root / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    return root


@pytest.fixture(scope="module")
def found(folder, tmp_path_factory):
    results = tmp_path_factory.mktemp("results") / "found.npz"
    settings = {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    ran = subprocess.run(
        [sys.executable, __file__, str(folder), str(results)],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    with np.load(results) as arrays:
        return dict(arrays)


def assert_same(found, name: str, dataset, atol: float = 0) -> None:
    """The batches kept under a name are those of a `tf.data` dataset."""
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    np.testing.assert_array_equal(found[f"{name}: labels"], np.concatenate(labels))
    got = found[f"{name}: images"]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.concatenate(images), atol=atol, rtol=0)


@pytest.mark.slow
def test_tensorflow_is_not_imported(found):
    assert not found["tensorflow"]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["device", "host"])
def test_batches_are_those_of_tensorflow(found, folder, place):
    data = load(SHIPPED, **GREY)
    for epoch in (0, 1):
        assert_same(found, f"{place}, epoch {epoch}", data.epoch_dataset(epoch))
    assert_same(found, f"{place}, rest", data.epoch_dataset(1, first_batch=2))
    assert_same(found, f"{place}, test", data.test)
    assert_same(found, f"{place}, grown", load(SHIPPED, **GROWN).train, atol=1e-3)
    assert_same(found, f"{place}, shrunk", load(SHIPPED, **SHRUNK).train, atol=1e-3)
    assert_same(found, f"{place}, folder", load(folder, **FOLDER).train, atol=1e-3)


@pytest.mark.parametrize("place", ["device", "two devices"])
def test_training_takes_an_epoch_at_a_time(found, place):
    third = load(SHIPPED, **GREY).epoch_dataset(2).take(1)
    assert_same(found, f"{place}, after two epochs", third)
    assert found[f"{place}, sample"] == 20
    # Keras shares a batch out among devices, and wants it from the host.
    assert found[f"{place}, after two epochs: host"] == (place == "two devices")


def test_batches_are_made_where_they_should_be(found):
    for kept in ("epoch 0", "test", "grown"):
        assert not found[f"device, {kept}: host"]
        assert found[f"host, {kept}: host"]
    assert found["device, folder: host"]


def test_without_tensorflow_its_data_sets_are_refused(found):
    refused = str(found["refused"])
    assert refused.startswith("'mnist' is neither 'fashion_mnist_small' nor a folder")
    assert "pip install tensorflow tensorflow-datasets" in refused


if __name__ == "__main__":
    run(*sys.argv[1:])
