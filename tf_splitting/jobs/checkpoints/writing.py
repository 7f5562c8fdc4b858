"""Writes the files of a checkpoint, and last of all their manifest."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tf_splitting.errors import CheckpointError
from tf_splitting.jobs.checkpoints import arrays, manifest
from tf_splitting.support import flush_directory


def check_names(names: Mapping[str, Any]) -> None:
    """Checks that documents can be told apart, and what they hold.

    Raises:
        CheckpointError: a name that is not that of a `.json` or `.npz` file.
    """
    for name in names:
        plain = "/" not in name and not name.startswith(".")
        if not plain or not name.endswith((".json", ".npz")) or name == manifest.NAME:
            raise CheckpointError(
                f"Got a document named {name!r}; expected a plain file name that ends "
                f"in .json or .npz, other than {manifest.NAME}."
            )


def write(folder: Path, number: int, documents: Mapping[str, Any]) -> None:
    """Creates `folder` with the documents and a manifest; all flushed to the disk.

    Raises:
        OSError: the disk is full, or broken, or what else may happen to a disk.
        TypeError, ValueError: a document cannot be written in its format.
    """
    os.mkdir(folder)
    files = {}
    for name, value in documents.items():
        with HashingFile(folder / name) as file:
            if name.endswith(".npz"):
                arrays.write(file, value)
            else:
                file.write(json.dumps(value).encode())
        files[name] = file.record()
    with HashingFile(folder / manifest.NAME) as file:
        file.write(manifest.encode(number, files))
    flush_directory(folder)


class HashingFile:
    """A new file, written from front to back, that hashes what goes through it.

    Hashing what is read back would miss what the disk did to it in between.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> int:
        """Writes all of it, however many times the system has to be asked."""
        self._digest.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered; `zipfile` wants to call it."""

    def record(self) -> manifest.FileRecord:
        """Size and hash of what was written."""
        return manifest.FileRecord(self._size, self._digest.hexdigest())

    def __enter__(self) -> "HashingFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # By the descriptor that wrote: one opened later may not hear of a failure.
        descriptor, self._descriptor = self._descriptor, -1
        try:
            if kind is None:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
