"""Image folders: one sub-folder per class. Lists files only, without TensorFlow."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tf_splitting.errors import DataError
from tf_splitting.support import in_a_line

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png"})

# What TensorFlow decodes, by Pillow's names; MPO is a kind of JPEG.
FORMATS = frozenset({"BMP", "GIF", "JPEG", "MPO", "PNG"})

# What Pillow raises for files that are no images, or not all of one.
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)

# A JPEG ends within so many bytes of the file's end; some programs add a few.
TAIL = 1024

TEST_NAMES = ("test", "val", "validation")

# The share of each class that is held out where the folder has no test split.
HELD_OUT = 0.2


class Files(NamedTuple):
    """Paths `[n]` and int32 labels `[n]`."""

    paths: list[str]
    labels: np.ndarray


class FolderData(NamedTuple):
    """Both splits of a folder; label k is `class_names[k]`."""

    train: Files
    test: Files
    class_names: tuple[str, ...]


def read(root: Path) -> FolderData:
    """Lists a folder with `train/` and `test/` (or `val/`), or with class folders.

    Without a test split, a fifth of each class is held out: the files whose paths
    have the smallest hashes, so the same files on every machine, and files added
    later leave the others where they are.

    Raises:
        DataError: a folder that should hold classes or images holds none, there is
            only one class, the test split has a class that the training split lacks,
            or a file is broken.
    """
    try:
        data = _listed(root)
    except OSError as error:
        raise DataError(
            f"{str(root)!r} cannot be read: {in_a_line(error)}. Give a folder that can."
        ) from error
    if len(data.class_names) < 2:
        raise DataError(
            f"{str(root)!r} has the class {data.class_names[0]!r} only; expected two "
            "sub-folders at least, one per class. Add another."
        )
    for path in (*data.train.paths, *data.test.paths):
        _check_image(path)
    return data


def _listed(root: Path) -> FolderData:
    train = root / "train"
    if not train.is_dir():
        names = _class_names(root)
        images = _images(root, names)
        held = {name: int(HELD_OUT * len(paths)) for name, paths in images.items()}
        if not any(held.values()):
            raise DataError(
                f"the classes in {str(root)!r} are too small to hold out a fifth of "
                "each for testing; expected 5 images or more. Add images, or train/ "
                "and test/ folders."
            )
        return FolderData(
            _mix({name: paths[held[name] :] for name, paths in images.items()}, names),
            _mix({name: paths[: held[name]] for name, paths in images.items()}, names),
            names,
        )
    names = _class_names(train)
    test = next((root / n for n in TEST_NAMES if (root / n).is_dir()), None)
    if test is None:
        raise DataError(
            f"{str(root)!r} has train/ but none of {', '.join(TEST_NAMES)}. Add one, "
            "or move the class folders up to have a part held out."
        )
    unknown = set(_class_names(test)) - set(names)
    if unknown:
        raise DataError(
            f"{str(test)!r} has the classes {sorted(unknown)}, which {str(train)!r} "
            "lacks. Both need the same class folders."
        )
    return FolderData(
        _mix(_images(train, names), names),
        _mix(_images(test, _class_names(test)), names),
        names,
    )


def common_size(files: Files) -> tuple[int, int]:
    """The (height, width) of all images, from their headers.

    Raises:
        DataError: two images differ, or a file is no image.
    """
    sizes: dict[tuple[int, int], str] = {}
    for path in files.paths:
        try:
            with Image.open(path) as image:
                sizes.setdefault(image.size, path)
        except UNREADABLE as error:
            raise _no_image(path, in_a_line(error)) from error
        if len(sizes) > 1:
            (first, one), (second, other) = sizes.items()
            raise DataError(
                f"{one!r} is {first[0]}x{first[1]} pixels and {other!r} is "
                f"{second[0]}x{second[1]}. Pass image_size to resize them all."
            )
    ((width, height),) = sizes
    return height, width


def _check_image(path: str) -> None:
    """Refuses what would end a job within an epoch; decodes no more than it has to."""
    try:
        with Image.open(path) as image:
            kind = image.format
            if kind in FORMATS and not _ends_as_jpeg(path):
                # Reads all of a PNG, whose parts have checksums.
                image.verify() if kind == "PNG" else image.load()
    except UNREADABLE as error:
        raise _no_image(path, in_a_line(error)) from error
    if kind not in FORMATS:
        raise _no_image(path, f"it is a {kind}")


def _ends_as_jpeg(path: str) -> bool:
    with open(path, "rb") as file:
        is_jpeg = file.read(2) == b"\xff\xd8"
        file.seek(-min(TAIL, file.seek(0, os.SEEK_END)), os.SEEK_END)
        return is_jpeg and b"\xff\xd9" in file.read()


def _no_image(path: str, why: str) -> DataError:
    return DataError(
        f"{path!r} is not an image, or not all of one: {why}. Expected BMP, GIF, JPEG "
        "or PNG. Remove it."
    )


def _class_names(folder: Path) -> tuple[str, ...]:
    names = sorted(p.name for p in folder.iterdir() if p.is_dir())
    if not names:
        raise DataError(
            f"{str(folder)!r} has no sub-folders; expected one per class with its "
            "images inside."
        )
    return tuple(names)


def _images(folder: Path, names: tuple[str, ...]) -> dict[str, list[Path]]:
    """Each class's images, in the order of their hashes."""

    def rank(path: Path) -> str:
        relative = path.relative_to(folder).as_posix()
        return hashlib.sha256(relative.encode()).hexdigest()

    images = {}
    for name in names:
        found = (folder / name).rglob("*")
        paths = [p for p in found if p.suffix.lower() in SUFFIXES]
        if not paths:
            raise DataError(
                f"{str(folder / name)!r} has no images; expected files ending in "
                f"{', '.join(sorted(SUFFIXES))}."
            )
        images[name] = sorted(paths, key=rank)
    return images


def _mix(images: dict[str, list[Path]], names: tuple[str, ...]) -> Files:
    """All classes' files in one list, so that any first n hold every class."""
    placed = sorted(
        # The position within its class, as a share, spreads each class evenly.
        (rank / len(paths), names.index(name), str(path))
        for name, paths in images.items()
        for rank, path in enumerate(paths)
    )
    labels = np.array([label for _, label, _ in placed], np.int32)
    return Files([path for _, _, path in placed], labels)
