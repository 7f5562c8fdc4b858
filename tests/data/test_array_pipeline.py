"""The pipeline without TensorFlow against the one with it: the same batches."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tiers
from PIL import Image

from tf_splitting.data import array_pipeline, fashion_mnist_small, folder, pipeline
from tf_splitting.data.loading import ImageData
from tf_splitting.data.sampling import draw_sample
from tf_splitting.errors import DataError
from tf_splitting.support.placement import Placement
from tf_splitting.training.data_watch import Watched
from tf_splitting.training.feeds import as_feed

SHIPPED = fashion_mnist_small.read()
RNG = np.random.default_rng(0)


def grey(count: int) -> tuple[np.ndarray, np.ndarray]:
    return SHIPPED.train_images[:count], SHIPPED.train_labels[:count]


def colours(channels: int) -> tuple[np.ndarray, np.ndarray]:
    images = RNG.integers(0, 256, (50, 20, 12, channels)).astype(np.uint8)
    return images, np.arange(50)


def both(sources, size, channels=3, batch_size=16, shuffle=True, augment=True):
    """The same batches by either pipeline."""
    options = (size, channels, batch_size, 3, shuffle, augment)
    return (
        array_pipeline.Batches(sources[0], *options),
        pipeline.Batches(sources[1], *options),
    )


def arrays(images: np.ndarray, labels: np.ndarray):
    return (
        array_pipeline.ArraySource(images, labels),
        pipeline.ArraySource(images, labels),
    )


def assert_same(ours, theirs, atol: float = 1e-3) -> None:
    """Batch by batch: labels, images, dtypes."""
    count = 0
    for (images, labels), (expected, numbers) in zip(
        ours, theirs.as_numpy_iterator(), strict=True
    ):
        assert (images.dtype, labels.dtype) == (np.float32, np.int32)
        np.testing.assert_array_equal(labels, numbers)
        np.testing.assert_allclose(images, expected, atol=atol, rtol=0)
        count += 1
    assert count == len(ours)


@pytest.mark.parametrize("channels", tiers.some([1, 3], [3]))
@pytest.mark.parametrize(
    ("data", "size"),
    [
        (grey(150), (28, 28)),
        (grey(70), (56, 40)),
        (grey(70), (12, 12)),
        (grey(70), (40, 12)),
        (colours(3), (20, 12)),
        (colours(3), (11, 24)),
        (colours(4), (20, 12)),
    ],
    ids=["grey", "grown", "shrunk", "both ways", "colour", "colour resized", "alpha"],
)
def test_arrays_give_the_same_batches(data, size, channels):
    ours, theirs = both(arrays(*data), size, channels)
    assert ours.steps == theirs.steps == -(-len(data[1]) // 16)
    for epoch in (0, 1):
        assert_same(ours.epoch(epoch), theirs.epoch(epoch))
    assert_same(ours.epoch(1, first_batch=2), theirs.epoch(1, first_batch=2))


@pytest.mark.parametrize(
    ("batch_size", "shuffle", "augment"),
    [(1, True, True), (7, False, True), (30, True, False), (64, False, False)],
)
def test_any_options_give_the_same_epochs_in_turn(shuffle, augment, batch_size):
    ours, theirs = both(arrays(*grey(30)), (28, 28), 1, batch_size, shuffle, augment)
    counted, expected = ours.epochs(4), theirs.epochs(4)
    for _ in range(3):
        assert_same(counted, expected, atol=0)
    # As Keras reads it.
    one, other = ours.epochs(2), theirs.epochs(2)
    for _ in range(2):
        for index, (images, _) in enumerate(other.as_numpy_iterator()):
            np.testing.assert_array_equal(one[index][0], images)


def test_an_epoch_is_the_same_however_it_is_read():
    ours, _ = both(arrays(*grey(40)), (28, 28))
    epoch = ours.epoch(1)
    in_order = [labels.tolist() for _, labels in epoch]
    assert [len(labels) for labels in in_order] == [16, 16, 8]
    assert [epoch[k][1].tolist() for k in (2, 0, 1)] == [in_order[k] for k in (2, 0, 1)]
    assert len(ours.epoch(1, first_batch=3)) == 0


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def files(tmp_path):
    """23 images of many kinds, and sizes from 9 to 40 pixels."""
    for k in range(23):
        height, width = RNG.integers(9, 40, 2)
        pixels = RNG.integers(0, 256, (height, width, 4)).astype(np.uint8)
        kinds = [pixels, pixels[..., :3], pixels[..., 0], pixels[..., :2].copy()]
        suffix = ["png", "bmp", "gif", "png"][k % 4]
        write(tmp_path / f"{k}.{suffix}", kinds[k % 4])
    return folder.Files(sorted(map(str, tmp_path.iterdir())), np.arange(23, dtype="i4"))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("augment", [True, False])
def test_files_give_the_same_batches(files, channels, augment):
    sources = [
        made_by.FileSource(*files, None) for made_by in (array_pipeline, pipeline)
    ]
    ours, theirs = both(sources, (24, 16), channels, 5, augment=augment)
    for epoch in (0, 1):
        assert_same(ours.epoch(epoch), theirs.epoch(epoch))
    assert_same(ours.epoch(1, first_batch=3), theirs.epoch(1, first_batch=3))


@pytest.mark.parametrize("size", [(10, 12), (20, 24), (5, 24)], ids=str)
def test_files_of_one_size_give_the_same_batches(tmp_path, size):
    for k in range(8):
        write(tmp_path / f"{k}.png", RNG.integers(0, 256, (10, 12, 3), np.uint8))
    files = sorted(map(str, tmp_path.iterdir())), np.arange(8)
    sources = [
        made_by.FileSource(*files, (10, 12)) for made_by in (array_pipeline, pipeline)
    ]
    ours, theirs = both(sources, size, batch_size=3)
    assert_same(ours.epoch(0), theirs.epoch(0), atol=0 if size == (10, 12) else 1e-3)


def test_a_file_of_another_size_than_before_is_named(tmp_path):
    paths = [str(tmp_path / f"{k}.png") for k in range(3)]
    for path in paths:
        write(Path(path), np.zeros((6, 8, 3), np.uint8))
    source = array_pipeline.FileSource(paths, np.arange(3), (6, 8))
    write(Path(paths[1]), np.zeros((5, 4, 3), np.uint8))
    ours, _ = both([source, None], (6, 8))
    with pytest.raises(DataError, match=r"1\.png' has become 4x5 pixels.*8x6"):
        ours.epoch(0)[0]


def linear() -> keras.Model:
    """Classifies 28x28 grey images."""
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    return model


def image_data(training: array_pipeline.Batches) -> ImageData:
    """As `load` puts it together, with the training images for testing."""
    size, names = training.source.size, SHIPPED.class_names
    test = training.epoch(0)
    return ImageData(
        "some", training.epochs(), test, size, size, 10, names, training.steps, training
    )


def test_keras_takes_them():
    """Any backend does: here TensorFlow reads ahead in threads of its own."""
    ours, _ = both(arrays(*grey(40)), (28, 28), 1)
    data = ours.epochs()
    linear().fit(data, epochs=2, verbose=0, validation_data=ours.epoch(0))
    np.testing.assert_array_equal(next(iter(data))[1], ours.epoch(2)[0][1])


def labels_of(data) -> list[list[int]]:
    return [data[index][1].tolist() for index in range(data.num_batches)]


def test_jobs_take_them_from_any_epoch_and_batch_on():
    ours, _ = both(arrays(*grey(40)), (28, 28), 1)
    whole = [labels_of(ours.epoch(epoch)) for epoch in range(4)]
    feed = Watched(as_feed(image_data(ours)), linear(), Placement())
    assert feed.steps == 3
    for first in (0, 2):
        feed.begin(first)
        assert labels_of(feed.rest(first, 1)) == whole[first][1:]
        data = feed.epochs(first)["x"]
        data[0]  # Keras looks.
        for epoch in (first, first + 1):
            feed.begin(epoch)
            assert labels_of(data) == whole[epoch]
    assert feed.rest(1, 3) is None


def test_samples_are_drawn_from_the_first_epoch():
    ours, _ = both(arrays(*grey(40)), (28, 28), 1)
    sample = draw_sample(image_data(ours), size=40, batch_size=16)
    assert sample.size == 40
    seen = np.concatenate([batch.x for batch in sample.batches])
    epoch = np.concatenate([images for images, _ in ours.epoch(0)])
    assert {image.tobytes() for image in seen} == {image.tobytes() for image in epoch}


def test_what_is_wrong_with_a_batch_is_found():
    images, labels = grey(40)
    ours, _ = both(
        arrays(images, np.where(np.arange(40) == 30, 11, labels)), (28, 28), 1
    )
    watched = Watched(as_feed(image_data(ours)), linear(), Placement())
    data = watched.epochs(0)["x"]
    with pytest.raises(DataError, match=r"batch . of the first epoch"):
        labels_of(data)
