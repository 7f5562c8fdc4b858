"""The data set that ships: 4,000 + 1,000 images of Fashion-MNIST. No TensorFlow.

Source: Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
Machine Learning Algorithms" (arXiv 1708.07747). `tools/make_shipped_data.py` chose
the images: as many of each class, seed 0, training images from the original training
set and test images from the original test set.
"""

import zlib
from importlib import resources
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from tf_splitting.errors import DataError
from tf_splitting.support import in_a_line

NAME = "fashion_mnist_small"


class ShippedData(NamedTuple):
    """Images uint8 `[n, 28, 28, 1]`, labels uint8 `[n]`, in random order."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]


def read() -> ShippedData:
    """Reads the whole set, 4 MB.

    Raises:
        DataError: the file that ships is missing or damaged.

    Example:

        >>> read().train_images.shape
        (4000, 28, 28, 1)
    """
    file = resources.files("tf_splitting.data") / "shipped" / f"{NAME}.npz"
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return ShippedData(
                arrays["train_images"],
                arrays["train_labels"],
                arrays["test_images"],
                arrays["test_labels"],
                tuple(arrays["class_names"].tolist()),
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise DataError(
            f"{str(file)!r} cannot be read: {in_a_line(error)}. Install tf_splitting "
            "again."
        ) from error
