"""The data that ships, and what importing the package costs."""

import subprocess
import sys
from importlib import resources

import numpy as np
import pytest

from tf_splitting.data import fashion_mnist_small


def test_images_are_balanced_and_not_blank():
    data = fashion_mnist_small.read()
    assert data.train_images.shape == (4000, 28, 28, 1)
    assert data.test_images.shape == (1000, 28, 28, 1)
    assert np.bincount(data.train_labels).tolist() == [400] * 10
    assert np.bincount(data.test_labels).tolist() == [100] * 10
    assert data.train_images.dtype == np.uint8
    assert data.train_images.std(axis=(1, 2, 3)).min() > 1
    assert len(data.class_names) == 10


def test_no_image_is_in_both_splits():
    data = fashion_mnist_small.read()
    train = {image.tobytes() for image in data.train_images}
    assert not train & {image.tobytes() for image in data.test_images}


def test_any_first_images_are_of_many_classes():
    assert len(set(fashion_mnist_small.read().train_labels[:100])) == 10


def test_file_is_small_and_its_licence_beside_it():
    folder = resources.files("tf_splitting.data") / "shipped"
    assert len((folder / "fashion_mnist_small.npz").read_bytes()) < 2_500_000
    assert "Zalando SE" in (folder / "LICENSE-fashion-mnist.txt").read_text()


@pytest.mark.slow
def test_importing_does_not_import_tensorflow_datasets():
    code = "import sys, tf_splitting.data; print('tensorflow_datasets' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "False"


def test_readers_do_not_import_tensorflow_themselves():
    for module in ("fashion_mnist_small", "folder", "order", "loading"):
        source = (resources.files("tf_splitting.data") / f"{module}.py").read_text()
        top = [line for line in source.splitlines() if line.startswith("import ")]
        assert not [line for line in top if "tensorflow" in line], module
