"""Runs that several processes share: each takes the next that nobody is at."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Claims:
    """Names that one process at a time holds; those of one that ends are free again.

    Args:
        path: of a file that all processes can write; nothing is in it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a")

    @contextmanager
    def claimed(self, name: str) -> Iterator[bool]:
        """Whether the name is ours, until the end of the block."""
        # One byte of the file stands for the name.
        digest = hashlib.sha256(name.encode()).digest()
        place = int.from_bytes(digest[:6], "big")
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)
