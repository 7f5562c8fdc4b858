"""Makes the data set that ships with `tf_splitting.data` from the full Fashion-MNIST.

    python tools/make_shipped_data.py --data_dir=~/tensorflow_datasets \
        --output=tf_splitting/data/shipped/fashion_mnist_small.npz

The same arguments give the same file, byte for byte. Fashion-MNIST must have been
prepared in `--data_dir` before:
`tfds.builder("fashion_mnist", data_dir=...).download_and_prepare()`.
"""

from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from absl import app, flags

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where TFDS has Fashion-MNIST.")
_OUTPUT = flags.DEFINE_string("output", None, "The .npz file to write.")
_TRAIN = flags.DEFINE_integer("train", 4000, "Training images, all classes together.")
_TEST = flags.DEFINE_integer("test", 1000, "Test images, all classes together.")
_SEED = flags.DEFINE_integer("seed", 0, "Chooses the images and their order.")


def choose(labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of `count` examples, as many of each class, in random order."""
    classes = np.unique(labels)
    if count % len(classes):
        raise ValueError(
            f"{count} images cannot be shared equally by {len(classes)} classes; "
            "pass a multiple."
        )
    share = count // len(classes)
    chosen = [
        rng.choice(np.flatnonzero(labels == label), share, replace=False)
        for label in classes
    ]
    return rng.permutation(np.concatenate(chosen))


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"takes flags only, not {argv[1:]}")
    builder = tfds.builder("fashion_mnist", data_dir=_DATA_DIR.value)
    rng = np.random.default_rng(_SEED.value)
    arrays = {"class_names": np.array(builder.info.features["label"].names)}
    for split, count in (("train", _TRAIN.value), ("test", _TEST.value)):
        everything = builder.as_dataset(split=split, batch_size=-1)
        images = everything["image"].numpy()
        labels = everything["label"].numpy().astype(np.uint8)
        chosen = choose(labels, count, rng)
        arrays[f"{split}_images"] = images[chosen]
        arrays[f"{split}_labels"] = labels[chosen]
    output = Path(_OUTPUT.value)
    np.savez_compressed(output, **arrays)
    print(f"{output}: {output.stat().st_size} bytes")


if __name__ == "__main__":
    flags.mark_flags_as_required(["data_dir", "output"])
    app.run(main)
