"""TensorFlow Datasets, with tiny sets made on the spot."""

import shutil
import sys

import numpy as np
import pytest
import requests
import tensorflow_datasets as tfds

from tf_splitting.data import tfds_source
from tf_splitting.data.loading import load
from tf_splitting.data.pipeline import ArraySource
from tf_splitting.errors import DataError


class _Tiny(tfds.core.GeneratorBasedBuilder):
    """12 training and 4 more images; image k is filled with k."""

    VERSION = tfds.core.Version("1.0.0")
    SHAPE = (6, 8, 1)
    OTHER = "test"

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=self.SHAPE),
                    "label": tfds.features.ClassLabel(names=["a", "b", "c"]),
                    "coarse": tfds.features.ClassLabel(names=["even", "odd"]),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate(12), self.OTHER: self._generate(4)}

    def _generate(self, count):
        height, width, channels = (n or 7 for n in self.SHAPE)
        for k in range(count):
            image = np.full((height, width, channels), k, np.uint8)
            yield k, {"image": image, "label": k % 3, "coarse": k % 2}

    def _generate_examples(self):
        raise NotImplementedError


class TinyImages(_Tiny):
    """Fixed size."""


class RaggedImages(_Tiny):
    """Sizes not known from the features, and a validation split."""

    SHAPE = (None, None, 3)
    OTHER = "validation"


class OneClass(_Tiny):
    """Nothing to tell apart."""

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=self.SHAPE),
                    "label": tfds.features.ClassLabel(names=["a"]),
                }
            ),
        )

    def _generate(self, count):
        for k in range(count):
            yield k, {"image": np.zeros(self.SHAPE, np.uint8), "label": 0}


class Withheld(_Tiny):
    """A test split whose labels nobody knows."""

    def _generate(self, count):
        for k, example in super()._generate(count):
            yield k, {**example, "label": -1 if count == 4 else k % 3}


class NoLabels(_Tiny):
    """No class labels at all."""

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {"image": tfds.features.Image(shape=self.SHAPE), "age": np.int64}
            ),
        )

    def _generate(self, count):
        for k in range(count):
            yield k, {"image": np.zeros(self.SHAPE, np.uint8), "age": k}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    for builder in (TinyImages, RaggedImages, NoLabels, OneClass, Withheld):
        builder(data_dir=folder).download_and_prepare()
    return folder


def contents(dataset) -> list[tuple[int, int]]:
    """(pixel, label) of all examples, in order."""
    return [
        (int(image[0, 0, 0]), int(label))
        for images, labels in dataset
        for image, label in zip(images, labels, strict=True)
    ]


def test_a_small_set_is_read_into_memory(data_dir):
    data = load("tiny_images", data_dir=data_dir, batch_size=5)
    assert (data.train_size, data.test_size, data.classes) == (12, 4, 3)
    assert sorted(contents(data.train)) == [(k, k % 3) for k in range(12)]
    assert next(iter(data.train))[0].shape == (5, 6, 8, 3)


def test_another_label_can_be_chosen(data_dir):
    data = load("tiny_images:coarse", data_dir=data_dir)
    assert data.class_names == ("even", "odd")
    assert sorted(contents(data.train)) == [(k, k % 2) for k in range(12)]


def test_a_set_too_large_for_memory_is_streamed(data_dir, monkeypatch):
    in_memory = load("tiny_images", data_dir=data_dir, shuffle=False)
    monkeypatch.setattr(tfds_source, "MEMORY_LIMIT", 0)
    streamed = load("tiny_images", data_dir=data_dir, shuffle=False)
    assert contents(streamed.train) == contents(in_memory.train)
    shuffled = load("tiny_images", data_dir=data_dir, train_limit=9)
    epochs = [contents(shuffled.epoch_dataset(k)) for k in (0, 1, 0)]
    assert epochs[0] == epochs[2] != epochs[1]
    assert len(epochs[0]) == shuffled.train_size == 9


def test_images_of_different_sizes_are_resized_one_by_one(data_dir):
    data = load("ragged_images", data_dir=data_dir, image_size=5, channels=1)
    assert next(iter(data.train))[0].shape == (12, 5, 5, 1)
    assert data.test_size == 4
    with pytest.raises(DataError, match=r"differ in size\. Pass image_size"):
        load("ragged_images", data_dir=data_dir)


def test_limits_do_not_depend_on_the_seed(data_dir):
    def chosen(seed):
        data = load("tiny_images", data_dir=data_dir, train_limit=5, seed=seed)
        return sorted(contents(data.train))

    assert chosen(1) == chosen(2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_labels", r"ClassLabel features \[\]"),
        ("tiny_images:fine", "expected 'fine'"),
        ("one_class", "expected two at least"),
        ("withheld", "without a label"),
        # Known before anything would have to be fetched.
        ("imdb_reviews", r"Image features \[\]"),
        ("coco", r"ClassLabel features \[\]"),
    ],
)
def test_sets_that_are_not_for_classification_are_refused(data_dir, name, message):
    with pytest.raises(DataError, match=message):
        load(name, data_dir=data_dir)


@pytest.mark.parametrize(
    "name",
    ["a/b/c", "mnist/", "mnist/nothing", "mnist/split=3", "mnist set", "ünïcode"],
)
def test_names_that_cannot_be_parsed_are_refused(name, tmp_path):
    with pytest.raises(DataError, match="TensorFlow Datasets cannot open"):
        load(name, data_dir=tmp_path)


DAMAGE = {
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_text(""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:50]),
    "changed": lambda path: path.write_bytes(b"\xff" + path.read_bytes()[1:]),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("file", ["dataset_info.json", "*-train.tfrecord-*"])
def test_sets_with_damaged_files_are_refused(data_dir, tmp_path, file, damage):
    folder = tmp_path / "sets"
    shutil.copytree(data_dir, folder)
    (path,) = (folder / "tiny_images" / "1.0.0").glob(file)
    DAMAGE[damage](path)
    refusals = r"cannot open|is damaged|is not prepared|has the splits \[\]"
    with pytest.raises(DataError, match=refusals):
        load("tiny_images", data_dir=folder)


def test_without_a_network_fetching_ends_at_once(tmp_path, monkeypatch):
    def head(url, timeout):
        assert timeout <= 10
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests, "head", head)
    with pytest.raises(DataError, match=r"cannot be fetched.*no network.*data_dir"):
        load("mnist", data_dir=tmp_path, download=True)


def test_sets_to_be_fetched_by_hand_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(requests, "head", lambda url, timeout: None)
    with pytest.raises(DataError, match=r"cannot be fetched.*[Mm]anual"):
        load("imagenet2012", data_dir=tmp_path, download=True)


def test_a_set_not_on_disk_names_the_folder(tmp_path):
    with pytest.raises(DataError, match=r"'mnist' is not prepared in .*download=True"):
        load("mnist", data_dir=tmp_path)


def test_without_tensorflow_datasets_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(DataError, match="pip install tensorflow-datasets"):
        load("mnist")


def test_small_sets_become_arrays(data_dir):
    data = tfds_source.read(
        "tiny_images",
        data_dir=data_dir,
        train_limit=None,
        test_limit=2,
        download=False,
    )
    assert isinstance(data.train, ArraySource)
    assert data.test.size == 2
