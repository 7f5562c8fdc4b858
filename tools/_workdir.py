"""The folder that a job writes its results to."""

import time
from pathlib import Path

from _program import UsageError, key_flags

from flags import job
from flags import model as model_flags
from tf_splitting.files import write_text_atomically

GROWN = "grown.keras"


def create() -> Path:
    """Makes the folder, and checks that it can be written to.

    Raises:
        UsageError: it cannot, or holds another job's results.
    """
    folder = _path()
    if (folder / GROWN).exists():
        raise UsageError(
            f"--workdir={folder} holds a grown model already: choose another folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text_atomically(folder / "flags.txt", _flag_lines())
    except OSError as error:
        raise UsageError(f"--workdir={folder} cannot be written to: {error}") from error
    return folder


def _path() -> Path:
    if job.WORKDIR.value:
        return Path(job.WORKDIR.value).expanduser()
    stem = f"{Path(model_flags.MODEL.value).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = Path("runs", stem)
    number = 2
    while folder.exists():
        folder = Path("runs", f"{stem}-{number}")
        number += 1
    return folder


def _flag_lines() -> str:
    """The job's flags as a flagfile; without the folder, so that it can be repeated."""
    lines = [
        flag.serialize()
        for flag in key_flags()
        if flag.value is not None and flag.name != job.WORKDIR.name
    ]
    return "\n".join(["# To repeat: python tools/grow.py --flagfile=THIS", *lines, ""])
