"""Image folders: with splits, without, and those that are refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tf_splitting.data import folder
from tf_splitting.data.loading import load
from tf_splitting.errors import DataError


def write(path: Path, value: int, size: tuple[int, int] = (8, 6)) -> None:
    """A flat colour image of (width, height) pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)


@pytest.fixture
def split_folder(tmp_path):
    for split in ("train", "val"):
        for label, name in enumerate(("ant", "bee")):
            for k in range(4):
                write(tmp_path / split / name / f"{k}.png", 100 * label + k)
    return tmp_path


def test_pixels_and_labels_belong_together(split_folder):
    data = load(str(split_folder), batch_size=3, seed=1)
    assert data.class_names == ("ant", "bee")
    assert (data.train_size, data.test_size) == (8, 8)
    for dataset in (data.train, data.test):
        seen = set()
        for images, labels in dataset:
            assert images.shape[1:] == (6, 8, 3)
            np.testing.assert_array_equal(images[:, 0, 0, 0] // 100, labels)
            seen.update(images[:, 0, 0, 0].numpy().tolist())
        assert len(seen) == 8


def test_epochs_repeat_and_differ(split_folder):
    data = load(split_folder, augment=True)

    def first(epoch):
        return next(iter(data.epoch_dataset(epoch)))[0].numpy()

    np.testing.assert_array_equal(first(4), first(4))
    assert not np.array_equal(first(4), first(5))


def test_limits_keep_all_classes(split_folder):
    data = load(split_folder, train_limit=4, shuffle=False)
    labels = next(iter(data.train))[1].numpy()
    assert sorted(labels) == [0, 0, 1, 1]


def test_images_of_different_sizes_need_image_size(split_folder):
    write(split_folder / "train" / "ant" / "large.png", 5, size=(20, 30))
    with pytest.raises(DataError, match=r"20x30.*Pass image_size"):
        load(split_folder)
    images, _ = next(iter(load(split_folder, image_size=10).train))
    assert images.shape == (9, 10, 10, 3)


def test_the_held_out_part_is_fixed_and_disjoint(tmp_path):
    for name in ("ant", "bee"):
        for k in range(10):
            write(tmp_path / name / f"{k}.jpg", k)
    before = folder.read(tmp_path)
    assert np.bincount(before.test.labels).tolist() == [2, 2]
    assert np.bincount(before.train.labels).tolist() == [8, 8]
    assert not set(before.test.paths) & set(before.train.paths)
    assert folder.read(tmp_path).test.paths == before.test.paths


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "has no sub-folders"),
        (["ant/notes.txt"], "has no images"),
        (["ant/0.png", "bee/0.png"], "too small to hold out"),
        (["train/ant/0.png"], "has train/ but none of test"),
        (["train/ant/0.png", "test/cow/0.png"], r"classes \['cow'\]"),
    ],
)
def test_folders_that_are_not_sets_are_refused(tmp_path, files, message):
    for file in files:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_a_file_that_is_no_image_is_named(split_folder):
    (split_folder / "train" / "ant" / "broken.png").write_text("no image")
    with pytest.raises(DataError, match=r"broken\.png' is not an image"):
        load(split_folder)


def cut(path: Path, size: int) -> None:
    """Leaves the first bytes of a file."""
    path.write_bytes(path.read_bytes()[:size])


def overwrite(path: Path) -> None:
    """Changes a byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(bytes(content))


BROKEN = {
    "cut.png": lambda path: cut(path, 60),
    "cut.jpg": lambda path: cut(path, 300),
    "cut.gif": lambda path: cut(path, 20),
    "cut.bmp": lambda path: cut(path, 80),
    "bare.jpg": lambda path: cut(path, 10),
    "changed.png": overwrite,
    "text.png": lambda path: path.write_text("no image"),
    "empty.jpg": lambda path: path.write_text(""),
    "tiff.png": lambda path: Image.new("L", (8, 6)).save(path, format="tiff"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("image_size", [None, 8])
def test_broken_files_are_named_before_they_are_needed(split_folder, name, image_size):
    path = split_folder / "val" / "bee" / name
    write(path, 7)
    load(split_folder, image_size=image_size)
    BROKEN[name](path)
    with pytest.raises(DataError, match=f"{name}' is not an image"):
        load(split_folder, image_size=image_size)


def test_what_is_added_behind_a_jpeg_does_no_harm(split_folder):
    path = split_folder / "train" / "ant" / "more.jpg"
    write(path, 7)
    path.write_bytes(path.read_bytes() + bytes(5000))
    data = load(split_folder)
    assert sum(len(labels) for _, labels in data.train) == 9


def test_one_class_is_no_classification(tmp_path):
    for k in range(5):
        write(tmp_path / "ant" / f"{k}.png", k)
    with pytest.raises(DataError, match="the class 'ant' only"):
        load(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="there is no folder"):
        load(tmp_path / "nowhere")
