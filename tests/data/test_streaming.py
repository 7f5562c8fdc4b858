"""TensorFlow Datasets by the pipeline for other backends."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tf_splitting.data import array_pipeline, loading, streaming, tfds_source
from tf_splitting.data.loading import load


class TenImages(tfds.core.GeneratorBasedBuilder):
    """Ten training and four test images; image k is filled with k."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(6, 8, 1)),
            "label": tfds.features.ClassLabel(names=["a", "b", "c"]),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, dl_manager):
        return {
            "train": self._generate_examples(10),
            "test": self._generate_examples(4),
        }

    def _generate_examples(self, count):
        for k in range(count):
            yield k, {"image": np.full((6, 8, 1), k, np.uint8), "label": k % 3}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    TenImages(data_dir=folder).download_and_prepare()
    return folder


@pytest.fixture
def data(data_dir, monkeypatch):
    """By this backend's pipeline, and a function that loads by the other one."""
    expected = load("ten_images", data_dir=data_dir, batch_size=4, augment=True)

    def other():
        monkeypatch.setattr(loading, "_pipeline", lambda: array_pipeline)
        return load("ten_images", data_dir=data_dir, batch_size=4, augment=True)

    return expected, other


def contents(dataset) -> list[tuple[float, int]]:
    """Mean pixel and label of all examples, in order."""
    return [
        (float(np.mean(image)), int(label))
        for images, labels in dataset
        for image, label in zip(images, labels, strict=True)
    ]


def test_a_set_in_memory_goes_through_arrays(data):
    expected, other = data
    got = other()
    assert isinstance(got._training.source, array_pipeline.ArraySource)
    for _ in range(2):
        assert contents(got.train) == contents(expected.train)
    assert contents(got.test) == contents(expected.test)


@pytest.mark.slow
def test_epochs_of_a_stream_keep_their_number(data, monkeypatch):
    monkeypatch.setattr(tfds_source, "MEMORY_LIMIT", 0)
    _, other = data
    got = other()
    assert isinstance(got._training, streaming.Batches)
    epochs = [contents(got.epoch_dataset(k)) for k in range(3)]
    assert epochs[0] != epochs[1]
    assert [contents(got.train) for _ in range(2)] == epochs[:2]
    counted = got.epochs(1)
    counted[0]  # Keras looks, and begins anew.
    for epoch in (1, 2):
        assert contents(counted[k] for k in range(got.steps)) == epochs[epoch]
    # Not in order, which begins anew in between.
    assert contents(counted[k] for k in (0, 2, 1)) == contents(
        list(got.epoch_dataset(3))[k] for k in (0, 2, 1)
    )
