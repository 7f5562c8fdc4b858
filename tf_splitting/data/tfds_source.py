"""Image classification sets of TensorFlow Datasets, which is imported on first use."""

import contextlib
import difflib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import keras
import numpy as np
import requests
import tensorflow as tf
from google.protobuf.json_format import ParseError

from tf_splitting.data.fashion_mnist_small import NAME as SHIPPED
from tf_splitting.data.order import EpochPlan
from tf_splitting.data.pipeline import ArraySource, Resize
from tf_splitting.errors import DataError, UnknownNameError
from tf_splitting.support import in_a_line

# Splits up to this many decoded bytes are kept in memory.
MEMORY_LIMIT = 2**30

# Encoded images that wait in the shuffle buffer of a split read from disk.
SHUFFLE_BUFFER = 8192

# What TFDS raises for names that it cannot parse and for files that are damaged.
UNUSABLE = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RuntimeError,
    ImportError,
    AssertionError,
    OSError,
    ParseError,
    tf.errors.OpError,
)

# Seconds to wait for a server before a download is given up.
PATIENCE = 5

# Percent of the training split held out where a set has no other.
HELD_OUT = 20


class TfdsData(NamedTuple):
    """Both splits as sources; label k is `class_names[k]`.

    Each is a `StreamSource`, or what the pipeline's `ArraySource` makes.
    """

    train: Any
    test: Any
    class_names: tuple[str, ...]


class StreamSource:
    """A split too large for memory, or whose images differ in size."""

    def __init__(self, encoded: tf.data.Dataset, size: int, image: Any) -> None:
        """Takes (encoded image, label) pairs and the feature that decodes them."""
        self.size = size
        self.image_size = _fixed_size(image)
        self._encoded = encoded
        self._image = image

    def batches(
        self, plan: EpochPlan, batch_size: int, resize: Resize, *, shuffle: bool
    ) -> tf.data.Dataset:
        """Shuffles in a buffer, since a stream has no random access.

        TFDS writes its files in random order, so near neighbours suffice.
        """
        encoded = self._encoded
        if shuffle:
            # This is traced into a graph of its own, whose seed would otherwise be the
            # global one: orders would depend on it, and TensorFlow fails where it is 0.
            tf.compat.v1.set_random_seed(1)
            encoded = encoded.shuffle(SHUFFLE_BUFFER, seed=plan.seed)

        def decode(
            pair: tuple[tf.Tensor, tf.Tensor], draw: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            return resize(self._image.decode_example(pair[0])), pair[1], draw

        draws = tf.data.Dataset.from_tensor_slices(plan.draws)
        return (
            tf.data.Dataset.zip((encoded, draws))
            .map(decode, num_parallel_calls=tf.data.AUTOTUNE)
            .batch(batch_size)
        )


def read(
    name: str,
    *,
    data_dir: str | Path | None,
    train_limit: int | None,
    test_limit: int | None,
    download: bool,
    array_source: Callable[[np.ndarray, np.ndarray], Any] = ArraySource,
) -> TfdsData:
    """Opens the set `name`, or `name:label_key`; limits cut in the order on disk.

    Splits that fit into memory are given to `array_source` as images uint8
    `[n, h, w, c]` and labels int32 `[n]`.

    Raises:
        UnknownNameError: TFDS knows no such set, here or in `data_dir`.
        DataError: TFDS is not installed, the set is not on disk, is damaged or cannot
            be fetched, or it is not one of uint8 images with class labels.
    """
    tfds = _import_tfds()
    _leave_accelerators()
    name, _, label_key = name.partition(":")
    builder = _builder(tfds, name, data_dir)
    features = builder.info.features
    if not isinstance(features, tfds.features.FeaturesDict):
        raise DataError(
            f"{name!r} has the features {features}; expected an image and a class "
            "label. Use another set."
        )
    image_key = _feature_key(builder, tfds.features.Image, "image", "")
    label_key = _feature_key(builder, tfds.features.ClassLabel, "label", label_key)
    class_names = tuple(features[label_key].names or ())
    if len(class_names) < 2:
        raise DataError(
            f"{name!r} has the classes {class_names}; expected two at least. Choose "
            "another set, or another label with 'name:label_key'."
        )
    _prepare(tfds, builder, name, download)
    keys = (image_key, label_key)
    train, test = _splits(builder)
    try:
        return TfdsData(
            _source(tfds, builder, train, train_limit, keys, array_source),
            _source(tfds, builder, test, test_limit, keys, array_source),
            class_names,
        )
    except (OSError, tf.errors.OpError) as error:
        raise DataError(
            f"{name!r} in {str(builder.data_dir)!r} is damaged: {in_a_line(error)}. "
            "Delete that folder and prepare the set again."
        ) from error


def _import_tfds() -> ModuleType:
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise DataError(
            f"tensorflow-datasets cannot be imported ({error}). Install it with "
            f"`pip install tensorflow-datasets`, or use {SHIPPED!r} or a folder."
        ) from error
    return tfds


def _leave_accelerators() -> None:
    """Keeps TensorFlow off the accelerator where another backend trains on it.

    It would take nearly all of its memory as soon as it makes a tensor.
    """
    if keras.backend.backend() != "tensorflow":
        # Too late where TensorFlow has been used already, by whoever wanted it so.
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")


def _builder(tfds: ModuleType, name: str, data_dir: str | Path | None) -> Any:
    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        near = difflib.get_close_matches(name, [SHIPPED, *tfds.list_builders()], n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownNameError(
            f"unknown data set {name!r}.{hint} Expected {SHIPPED!r}, the path of an "
            "image folder, or a set of TensorFlow Datasets."
        ) from error
    except UNUSABLE as error:
        raise DataError(
            f"TensorFlow Datasets cannot open {name!r}: {in_a_line(error)}. Expected a "
            "name such as 'cifar100', or 'name/config'. If the set on disk is damaged, "
            "delete its folder and prepare it again."
        ) from error


def _prepare(tfds: ModuleType, builder: Any, name: str, download: bool) -> None:
    """Sees to it that the set is on disk."""
    if builder.is_prepared():
        return
    if not download:
        raise DataError(
            f"{name!r} is not prepared in {str(builder.data_dir)!r}. Pass the data_dir "
            "that has it, or download=True (--download) to fetch it there."
        )
    try:
        # TFDS itself tries for minutes before it says that there is no network.
        for url in list(builder.url_infos)[:1]:
            requests.head(url, timeout=PATIENCE)
        builder.download_and_prepare()
    except (*UNUSABLE, tfds.download.DownloadError) as error:
        raise DataError(
            f"{name!r} cannot be fetched to {str(builder.data_dir)!r}: "
            f"{in_a_line(error)}. Prepare it where there is a network, by "
            f"tfds.builder({name!r}, data_dir=...).download_and_prepare(), and pass "
            "that data_dir."
        ) from error


def _feature_key(builder: Any, kind: type, usual: str, wanted: str) -> str:
    """The key of the feature asked for, of the usual one, or of the only one."""
    features = dict(builder.info.features.items())
    keys = [key for key, feature in features.items() if isinstance(feature, kind)]
    choice = wanted or (usual if usual in keys else "")
    if choice in keys:
        return choice
    if len(keys) == 1 and not wanted:
        return keys[0]
    raise DataError(
        f"{builder.name!r} has {kind.__name__} features {keys}; expected "
        f"{wanted or usual!r} among them or only one. All its features: "
        f"{sorted(features)}. Choose a label with 'name:label_key'."
    )


def _splits(builder: Any) -> tuple[str, str]:
    """The training and the test split, the latter held out where there is none."""
    splits = builder.info.splits
    if "train" not in splits:
        raise DataError(
            f"{builder.name!r} has the splits {sorted(splits)}; expected 'train' "
            "among them. Use another set."
        )
    # Where a set has both, the labels of "test" are often withheld.
    for name in ("validation", "test"):
        if name in splits:
            return "train", name
    return f"train[{HELD_OUT}%:]", f"train[:{HELD_OUT}%]"


def _source(
    tfds: ModuleType,
    builder: Any,
    split: str,
    limit: int | None,
    keys: tuple[str, str],
    array_source: Callable[[np.ndarray, np.ndarray], Any],
) -> Any:
    image_key, label_key = keys
    image = builder.info.features[image_key]
    if image.np_dtype != np.uint8:
        raise DataError(
            f"{builder.name!r} has {np.dtype(image.np_dtype).name} images; expected "
            "uint8. Use another set, or convert its images to a folder of PNG files."
        )
    size = builder.info.splits[split].num_examples
    if not size:
        raise DataError(
            f"Split {split!r} of {builder.name!r} is empty. Use another set, or "
            "prepare it again."
        )
    for file in map(str, builder.info.splits[split].filepaths):
        if tf.io.gfile.isdir(file) or not tf.io.gfile.stat(file).length:
            raise OSError(f"{file!r} is no file, or empty")
    encoded = builder.as_dataset(
        split=split,
        decoders=tfds.decode.PartialDecoding(
            {image_key: True, label_key: True},
            decoders={image_key: tfds.decode.SkipDecoding()},
        ),
    ).map(lambda x: (x[image_key], tf.cast(x[label_key], tf.int32)))
    if limit is not None:
        encoded, size = encoded.take(limit), min(limit, size)
    if None in image.shape or size * np.prod(image.shape) > MEMORY_LIMIT:
        return StreamSource(encoded, size, image)
    decoded = encoded.map(
        lambda x, label: (image.decode_example(x), label),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    images, parts = zip(*decoded.batch(1024).as_numpy_iterator(), strict=True)
    labels = np.concatenate(parts)
    if labels.min() < 0:
        raise DataError(
            f"Split {split!r} of {builder.name!r} holds examples without a label. Use "
            "another set; the labels of this one are withheld."
        )
    return array_source(np.concatenate(images), labels)


def _fixed_size(image: Any) -> tuple[int, int] | None:
    height, width = image.shape[:2]
    return None if height is None or width is None else (height, width)
