"""Named arrays as a stream of bytes in NumPy's `.npz` format, and back."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.lib import format as npy


class Stream(Protocol):
    """What can be written to, from front to back."""

    def write(self, data: bytes) -> int: ...
    def flush(self) -> None: ...


def write(stream: Stream, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes uncompressed arrays, in pieces of 16 MiB: no copy of a whole array.

    Values are fetched one at a time, so a mapping may make them on demand. Unlike
    `np.savez`, it takes any name ("file", "a" beside "a.npy") and never looks back.

    Raises:
        ValueError: an array of Python objects, or a name with a null character.
    """
    # Nothing but `write` and `flush` is asked of it.
    file: Any = stream
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, value in arrays.items():
            if "\0" in name:
                # ZIP would cut the name there, and two arrays might become one.
                raise ValueError(f"array name {name!r} has a null character in it")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                npy.write_array(entry, np.asarray(value), allow_pickle=False)


def read(data: bytes) -> dict[str, np.ndarray]:
    """The arrays that `write` wrote, in the same order."""
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            with archive.open(info) as entry:
                arrays[info.filename.removesuffix(".npy")] = npy.read_array(
                    # The limit guards against strangers' files; these are our own.
                    entry,
                    allow_pickle=False,
                    max_header_size=len(data),
                )
    return arrays
