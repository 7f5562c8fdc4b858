"""Files and directories that appear complete or not at all.

What has appeared survives a power cut: the bytes are on the disk before the name is,
and the name is before the call returns.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# `.{name}.xxxxxxxx`, as `tempfile.mkdtemp` writes it.
_HIDDEN = re.compile(r"\.(?P<name>.+)\.[a-z0-9_]{8}", re.DOTALL)


@contextmanager
def appearing(path: str | Path) -> Iterator[Path]:
    """A path beside `path` to write a file or directory to; renamed when all is well.

    The temporary name keeps the suffixes of `path`, which some writers look at. On
    an exception it is removed and `path` is left as it was; an `OSError` that names
    no file names `path`.

    Example:
        >>> with appearing("model.keras") as temporary:
        ...     model.save(temporary)
    """
    path = Path(path)
    make_directory(path.parent)
    with beside(path) as temporary:
        try:
            yield temporary
            _flush_tree(temporary)
        except OSError as error:
            # Writing says what went wrong, but not where.
            if error.errno is not None and error.filename is None:
                error.filename = str(path)
            raise
        move(temporary, path)


def write_text_atomically(path: str | Path, text: str) -> None:
    """Writes a text file that appears whole or not at all."""
    with appearing(path) as temporary:
        temporary.write_text(text)


def make_directory(path: Path) -> None:
    """Creates a directory and its parents, unless they exist, and flushes their names.

    Raises:
        OSError: it cannot be created, or is something else than a directory.
    """
    missing = [p for p in (path, *path.parents) if not p.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for created in missing:
        flush_directory(created.parent)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A free path `.{name}.xxxxxxxx/{name}` next to `path`; in the end what is there
    is removed. Unless the process is killed: see `remove_leftovers`.
    """
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield folder / path.name
    finally:
        # Something that cannot be removed is a leftover, and no reason to fail.
        with suppress(OSError):
            shutil.rmtree(folder, ignore_errors=True)


def move(temporary: Path, path: Path) -> None:
    """Renames a path from `beside` to its final name, and flushes the name.

    Raises:
        OSError: `path` is what it was, unless flushing its directory failed.
    """
    if path.is_dir() and temporary.is_dir():
        # Directories cannot be replaced in one step: move the old one away first.
        previous = temporary.with_name(_previous(path.name))
        os.replace(path, previous)
        try:
            os.replace(temporary, path)
        except OSError:
            os.replace(previous, path)
            raise
    else:
        os.replace(temporary, path)
    flush_directory(path.parent)


def discard(path: Path) -> None:
    """Removes a file or directory in one step: nobody sees it half removed.

    Raises:
        OSError: it is still there, as it was.
    """
    with beside(path) as hidden:
        os.replace(path, hidden)


def remove_leftovers(directory: str | Path) -> None:
    """Removes what killed processes left in a directory: what `beside` had made.

    Call it only while no other process writes there, for instance while holding a
    lock: whether a temporary is still in use cannot be seen. If a process was killed
    just between moving an old directory away and the new one in, the new one, which
    is whole, is moved in.

    Raises:
        OSError: the directory cannot be listed.
    """
    for folder in list(Path(directory).iterdir()):
        match = _HIDDEN.fullmatch(folder.name)
        if match is None or folder.is_symlink() or not folder.is_dir():
            continue
        path = folder.with_name(match["name"])
        both = {path.name, _previous(path.name)}
        held = {p.name for p in folder.iterdir()}
        if not held <= both:
            continue  # Only looks like one of ours, say `.cache.database`.
        with suppress(OSError):
            if held == both and not path.exists():
                move(folder / path.name, path)
            shutil.rmtree(folder, ignore_errors=True)


def flush_directory(path: Path) -> None:
    """Makes sure that the names in a directory are on the disk.

    Raises:
        OSError: the disk says that they are not.
    """
    try:
        _flush(path)
    except OSError as error:
        # Some file systems cannot flush directories; some directories can be written
        # to, but not opened.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
            raise


def _previous(name: str) -> str:
    return f"{name}.previous"


def _flush_tree(path: Path) -> None:
    for found in (path, *path.rglob("*")):
        if found.is_dir():
            flush_directory(found)
        elif found.is_file():
            _flush(found)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
