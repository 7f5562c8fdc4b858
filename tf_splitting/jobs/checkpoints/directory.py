"""The directory that checkpoints lie in: whether it can be used, what is in it."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tf_splitting.errors import CheckpointError
from tf_splitting.support import beside, make_directory

_NAME = re.compile(r"checkpoint-(\d{6,})", re.ASCII)


def path_of(directory: Path, number: int) -> Path:
    """Where checkpoint `number` lies."""
    return directory / f"checkpoint-{number:06d}"


def numbers(directory: Path) -> list[int]:
    """Numbers of all that has the name of a checkpoint, whole or not, ascending.

    Raises:
        OSError: the directory cannot be listed.
    """
    found = [_NAME.fullmatch(name) for name in os.listdir(directory)]
    return sorted({int(match[1]) for match in found if match})


@contextmanager
def usable(directory: Path) -> Iterator[None]:
    """What fails inside makes a directory one that cannot be used.

    Raises:
        CheckpointError: in place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        reason = (
            "it is not a directory"
            if os.path.exists(directory) and not os.path.isdir(directory)
            else str(error)
        )
        raise CheckpointError(
            f"{directory} cannot be used for checkpoints: {reason}. Expected a "
            "directory that can be read and written; make room, change its "
            "permissions or choose another."
        ) from error


def prepare(directory: Path) -> None:
    """Creates the directory unless it exists.

    Raises:
        CheckpointError: it cannot be created, or is a file.
    """
    with usable(directory):
        make_directory(directory)


def probe(directory: Path) -> None:
    """Finds out whether files can be written, by writing one.

    Raises:
        CheckpointError: they cannot.
    """
    # Asking for permissions would not do: root has all of them, and a disk that is
    # full or mounted for reading grants them too.
    with usable(directory), beside(directory / "probe") as path:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
        try:
            os.write(descriptor, b"probe")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.unlink(path)
