"""A checkpoint that was read, and found to be what was written."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tf_splitting.errors import CheckpointError
from tf_splitting.jobs.checkpoints import arrays, manifest
from tf_splitting.jobs.checkpoints.manifest import DamagedError


@dataclass(frozen=True)
class Checkpoint:
    """The documents of one checkpoint.

    It holds the very bytes that were verified, whatever happens to the files later,
    and so takes as much memory as they do: let go of it when all is restored.

    Attributes:
        path: where it was read from.
        number: its number; the first one ever is 1.
    """

    path: Path
    number: int
    _contents: Mapping[str, bytes] = field(repr=False, compare=False)

    def has(self, name: str) -> bool:
        """Whether there is a document of that name."""
        return name in self._contents

    def json(self, name: str) -> Any:
        """The value of a `.json` document; tuples come back as lists.

        Raises:
            CheckpointError: there is no such document.
        """
        return json.loads(self._content(name))

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of a `.npz` document, in the order they were given.

        A dtype that NumPy does not know comes back as raw bytes of the same size: for
        `ml_dtypes.bfloat16` that is `V2`, to be viewed by who knows the dtype.

        Raises:
            CheckpointError: there is no such document.

        Example:
            >>> checkpoint.arrays("weights.npz")["kernel"].view(ml_dtypes.bfloat16)
        """
        return arrays.read(self._content(name))

    def _content(self, name: str) -> bytes:
        if not self.has(name):
            raise CheckpointError(
                f"Got {name!r}; expected one of the documents of {self.path}: "
                f"{sorted(self._contents)}."
            )
        return self._contents[name]


def read(path: Path, number: int) -> Checkpoint:
    """Reads and verifies all of a checkpoint. Files it did not write do not matter.

    Raises:
        DamagedError: anything is missing, different or unreadable.
    """
    records = manifest.decode(_bytes(path / manifest.NAME), number)
    contents, wrong = {}, []
    for name, record in records.items():
        try:
            contents[name] = _verified(path / name, record)
        except DamagedError as error:
            wrong.append(str(error))
    if wrong:
        raise DamagedError(", ".join(wrong), whole=tuple(contents))
    return Checkpoint(path, number, contents)


def _verified(path: Path, record: manifest.FileRecord) -> bytes:
    data = _bytes(path)
    if len(data) != record.size:
        raise DamagedError(
            f"{path.name} has {len(data)} bytes where {record.size} were written"
        )
    if hashlib.sha256(data).hexdigest() != record.sha256:
        raise DamagedError(f"{path.name} has changed since it was written")
    return data


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DamagedError(f"{path.name} is missing") from None
    except OSError as error:
        raise DamagedError(f"{path.name} cannot be read ({error.strerror})") from error
