"""Files and directories that appear complete or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def appearing(path: str | Path) -> Iterator[Path]:
    """A path beside `path` to write a file or directory to; renamed when all is well.

    The temporary name keeps the suffixes of `path`, which some writers look at. On
    an exception it is removed and `path` is left as it was.

    Example:
        >>> with appearing("model.keras") as temporary:
        ...     model.save(temporary)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    temporary = beside / path.name
    try:
        yield temporary
        _flush(temporary)
        if path.is_dir() and temporary.is_dir():
            # Directories cannot be replaced in one step: move the old one away first.
            os.replace(path, beside / "previous")
        os.replace(temporary, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def write_text_atomically(path: str | Path, text: str) -> None:
    """Writes a text file that appears whole or not at all."""
    with appearing(path) as temporary:
        temporary.write_text(text)


def _flush(path: Path) -> None:
    """Makes sure the bytes are on the disk before the name is."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
