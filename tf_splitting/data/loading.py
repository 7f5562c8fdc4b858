"""`load`: one call from a name to batches, whatever the data set's kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

import keras

from tf_splitting.data import fashion_mnist_small, folder
from tf_splitting.errors import DataError
from tf_splitting.support import arguments

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_splitting.data import array_pipeline, pipeline

    Batches: TypeAlias = array_pipeline.Batches | pipeline.Batches
    Dataset: TypeAlias = keras.utils.PyDataset | tf.data.Dataset
    Source: TypeAlias = array_pipeline.Source | pipeline.Source


@dataclass(frozen=True)
class ImageData:
    """An image classification set in batches.

    Batches are `(images, labels)`: float32 `[batch, height, width, channels]` in
    0..255, as models that rescale their input want them, and int32 `[batch]`.

    On Keras' JAX backend, data sets are `keras.utils.PyDataset`s and batches arrays of
    NumPy or JAX; on others, they are `tf.data.Dataset`s of tensors. `fit`, `evaluate`
    and a loop get the same batches from either, but for the pixels of JPEG files, a few
    units of 255 apart.

    Attributes:
        name: as given to `load`.
        train: the training batches. Its k-th iteration is `epoch_dataset(k)`, counted
            from 0 at `load`; anything that iterates, an evaluation too, moves it on.
            On JAX, `fit` shuffles these batches once more unless told `shuffle=False`.
            `grow` takes the whole `ImageData` rather: it then asks for epochs by
            number, which a job that resumes needs.
        test: the test batches, in a fixed order.
        train_size: training examples in one epoch.
        test_size: test examples.
        classes: number of classes.
        class_names: label k is `class_names[k]`.
        steps: training batches in one epoch.
    """

    name: str
    train: Dataset
    test: Dataset
    train_size: int
    test_size: int
    classes: int
    class_names: tuple[str, ...]
    steps: int
    _training: Batches = field(repr=False)

    @property
    def last_batch(self) -> int:
        """Examples in an epoch's last batch, the smallest."""
        return self.train_size - (self.steps - 1) * self._training.batch_size

    def epoch_dataset(self, epoch: int, first_batch: int = 0) -> Dataset:
        """An epoch's training batches from one on.

        They are the same in order and augmentation whenever this is called.
        """
        return self._training.epoch(epoch, first_batch)

    def epochs(self, first: int = 0) -> Dataset:
        """Training batches whose k-th iteration is `epoch_dataset(first + k)`."""
        return self._training.epochs(first)


def load(
    name: str | Path,
    *,
    data_dir: str | Path | None = None,
    image_size: int | tuple[int, int] | None = None,
    channels: int = 3,
    batch_size: int = 64,
    augment: bool = False,
    seed: int = 0,
    train_limit: int | None = None,
    test_limit: int | None = None,
    shuffle: bool = True,
    download: bool = False,
) -> ImageData:
    """Loads an image classification set.

    Args:
        name: "fashion_mnist_small", which ships with the package; the path of an
            image folder, with `train/` and `test/` (or `val/`) or with class folders
            only, of which a fixed fifth is then held out; or a set of TensorFlow
            Datasets such as "cifar100", with "cifar100:coarse_label" to choose the
            label (of its splits, "train" and "validation" or else "test" are used).
        data_dir: where TensorFlow Datasets keeps its sets; None for its default.
        image_size: pixels, one number or (height, width); images are resized to it
            bilinearly, whole. None keeps the set's own size.
        channels: 3, to which grey images are repeated, or 1, to which colours are
            mixed.
        batch_size: examples; the last batch of an epoch may be smaller.
        augment: crop training images from a black margin of 1/8 and flip half of
            them left to right.
        seed: order and augmentation of epoch k are functions of (seed, k). Sets of
            TensorFlow Datasets too large for memory (1 GiB) shuffle in a buffer.
        train_limit: use only so many training examples, always the same ones.
        test_limit: likewise for the test split.
        shuffle: shuffle the training examples anew in each epoch.
        download: fetch a TensorFlow Datasets set that is not on disk.

    Raises:
        UnknownNameError: nothing has that name.
        DataError: an argument is out of range, or the set is missing, empty, or not
            one of images with class labels.

    Example:

        >>> data = load("fashion_mnist_small", batch_size=100)
        >>> images, labels = next(iter(data.train))
        >>> tuple(images.shape), data.classes
        ((100, 28, 28, 3), 10)
    """
    name = name if isinstance(name, str) else arguments.path("name", name)
    if arguments.whole("channels", channels, error=DataError) not in (1, 3):
        raise DataError(f"Got channels={channels!r}; expected 1 (grey) or 3 (RGB).")
    _whole("batch_size", batch_size)
    for option, limit in (("train_limit", train_limit), ("test_limit", test_limit)):
        _whole(option, limit, or_none=True)
    arguments.whole("seed", seed, at_least=0, error=DataError)
    augment = arguments.truth("augment", augment, error=DataError)
    shuffle = arguments.truth("shuffle", shuffle, error=DataError)
    download = arguments.truth("download", download, error=DataError)
    if image_size is not None:
        sides = image_size if isinstance(image_size, (tuple, list)) else [image_size]
        for side in sides:
            _whole("image_size", side)
        if isinstance(image_size, (tuple, list)) and len(image_size) != 2:
            raise DataError(
                f"Got image_size={image_size!r}; expected pixels, or (height, width)."
            )

    train, test, class_names = _sources(
        name, data_dir, image_size, train_limit, test_limit, download
    )
    size = _size(name, image_size, train)
    training = _batches(train)(
        train, size, channels, batch_size, seed, shuffle, augment
    )
    testing = _batches(test)(test, size, channels, batch_size, seed, False, False)
    return ImageData(
        name=str(name),
        train=training.epochs(),
        test=testing.epoch(0),
        train_size=train.size,
        test_size=test.size,
        classes=len(class_names),
        class_names=class_names,
        steps=training.steps,
        _training=training,
    )


def _pipeline() -> ModuleType:
    """Where arrays and files become batches: on JAX without TensorFlow.

    Imported here so that the readers above can be had without either.
    """
    if keras.backend.backend() == "jax":
        from tf_splitting.data import array_pipeline

        return array_pipeline
    from tf_splitting.data import pipeline

    return pipeline


def _batches(source: Source) -> Callable[..., Batches]:
    """The class of a source's batches."""
    made_by = _pipeline()
    if isinstance(source, (made_by.ArraySource, made_by.FileSource)):
        return made_by.Batches
    # A stream of TensorFlow Datasets, which is `tf.data` on any backend.
    from tf_splitting.data import pipeline, streaming

    return pipeline.Batches if made_by is pipeline else streaming.Batches


def _sources(
    name: str | Path,
    data_dir: str | Path | None,
    image_size: int | tuple[int, int] | None,
    train_limit: int | None,
    test_limit: int | None,
    download: bool,
) -> tuple[Source, Source, tuple[str, ...]]:
    """The train and test sources and the class names, by the kind of `name`."""
    made_by = _pipeline()
    if name == fashion_mnist_small.NAME:
        shipped = fashion_mnist_small.read()
        return (
            made_by.ArraySource(
                shipped.train_images[:train_limit], shipped.train_labels[:train_limit]
            ),
            made_by.ArraySource(
                shipped.test_images[:test_limit], shipped.test_labels[:test_limit]
            ),
            shipped.class_names,
        )
    path = Path(name).expanduser()
    if path.is_dir():
        data = folder.read(path)

        def source(files: folder.Files, limit: int | None) -> Source:
            files = folder.Files(files.paths[:limit], files.labels[:limit])
            known = folder.common_size(files) if image_size is None else None
            return made_by.FileSource(files.paths, files.labels, known)

        train, test = source(data.train, train_limit), source(data.test, test_limit)
        return train, test, data.class_names
    if isinstance(name, Path) or "\\" in name or name.startswith((".", "/", "~")):
        raise DataError(f"there is no folder {str(name)!r}. Correct the path.")
    return _tfds_source(str(name)).read(
        name,
        data_dir=data_dir,
        train_limit=train_limit,
        test_limit=test_limit,
        download=download,
        array_source=made_by.ArraySource,
    )


def _tfds_source(name: str) -> ModuleType:
    """The reader of TensorFlow Datasets, which imports TensorFlow on any backend."""
    try:
        from tf_splitting.data import tfds_source
    except ImportError as error:
        raise DataError(
            f"{name!r} is neither {fashion_mnist_small.NAME!r} nor a folder, and what "
            f"reads the sets of TensorFlow Datasets cannot be imported ({error}). "
            "Install it with `pip install tensorflow tensorflow-datasets`, or correct "
            "the name."
        ) from error
    return tfds_source


def _size(
    name: str | Path, image_size: int | tuple[int, int] | None, train: Source
) -> tuple[int, int]:
    """(height, width) of the batches."""
    if image_size is None:
        if train.image_size is None:
            raise DataError(
                f"the images of {str(name)!r} differ in size. Pass image_size to "
                "resize them all."
            )
        height, width = train.image_size
        return height, width
    if isinstance(image_size, (tuple, list)):
        return int(image_size[0]), int(image_size[1])
    return int(image_size), int(image_size)


def _whole(option: str, value: object, or_none: bool = False) -> None:
    arguments.whole(option, value, at_least=1, or_none=or_none, error=DataError)
