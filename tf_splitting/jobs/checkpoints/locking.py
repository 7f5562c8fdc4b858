"""One process at a time works in a directory; a crash leaves nothing to clean up."""

import fcntl
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tf_splitting.errors import CheckpointError, LockedError
from tf_splitting.jobs.checkpoints.directory import prepare, usable

# The file stays for good. Were it unlinked at the end, a process that had just opened
# it would lock a file without a name, and the next one a new file: both would work.
NAME = ".lock"

_held: set[int] = set()


@contextmanager
def lock(directory: str | Path) -> Iterator[None]:
    """Holds a directory for this process; the kernel lets go of it with the process.

    Args:
        directory: created if it does not exist.

    Raises:
        LockedError: another process has it, or this one, and which.
        CheckpointError: the directory cannot be written, or its file system has no
            locks.

    Example:
        >>> with lock("run"):
        ...     CheckpointStore("run").open()
    """
    directory = Path(directory)
    prepare(directory)
    with usable(directory):
        descriptor = os.open(directory / NAME, os.O_RDWR | os.O_CREAT, 0o666)
    _held.add(descriptor)
    try:
        _acquire(descriptor, directory)
        with usable(directory):
            _sign(descriptor, _owner())
        yield
    finally:
        # A child that was forked inside, and leaves by the same way, has let go.
        if descriptor in _held:
            _held.discard(descriptor)
            os.close(descriptor)


def _acquire(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LockedError(
            f"{directory} is in use by {_describe(directory / NAME)}. Wait for it to "
            "end, stop it, or choose another directory."
        ) from None
    except OSError as error:
        raise CheckpointError(
            f"{directory} cannot be locked ({error.strerror}): expected a file system "
            "with flock. Choose a directory on another one, such as a local disk."
        ) from error


def _owner() -> dict[str, int | str]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": shlex.join(sys.orig_argv),
        "since": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def _sign(descriptor: int, owner: dict[str, int | str]) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(owner).encode(), 0)


def _describe(path: Path) -> str:
    try:
        owner = json.loads(path.read_bytes())
        process = f"process {owner['pid']} on {owner['host']}"
        if (owner["pid"], owner["host"]) == (os.getpid(), socket.gethostname()):
            process += " (this one)"
        return f"{process}, since {owner['since']}: {owner['command']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has not yet said which it is"


def _let_go() -> None:
    """In a forked child: a worker that outlives a killed parent must not keep it."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)
