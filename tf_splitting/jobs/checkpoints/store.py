"""Checkpoints in a directory: each appears whole, and is verified when it is read."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tf_splitting.errors import CheckpointError, SplittingWarning
from tf_splitting.jobs.checkpoints import checkpoint, writing
from tf_splitting.jobs.checkpoints.checkpoint import Checkpoint
from tf_splitting.jobs.checkpoints.directory import (
    numbers,
    path_of,
    prepare,
    probe,
    usable,
)
from tf_splitting.jobs.checkpoints.manifest import DamagedError
from tf_splitting.support import beside, discard, move, remove_leftovers


class CheckpointStore:
    """Saves and loads the numbered checkpoints of one job.

    One process at a time: hold `lock(directory)` from before `open`. A checkpoint goes
    once there are `keep` newer ones; those that `load` found broken, or whose `save`
    failed at the very end, do not count.

    Args:
        directory: where they lie, a directory each.
        keep: how many stay, 1 or more. There must be room for one more.

    Attributes:
        last: the newest checkpoint known to be good; None before any is.

    Example:
        >>> with lock("run"):
        ...     store = CheckpointStore("run")
        ...     store.open()
        ...     found = store.load()
        ...     step = found.json("job.json")["step"] if found else 0
        ...     store.save({"job.json": {"step": step + 1}, "weights.npz": weights})
    """

    def __init__(self, directory: str | Path, keep: int = 2) -> None:
        if keep < 1:
            raise CheckpointError(f"Got keep={keep}; expected 1 or more.")
        self.directory = Path(directory)
        self.keep = keep
        self.last: Path | None = None
        self._highest = 0
        self._doubtful: set[int] = set()

    def open(self) -> None:
        """Creates the directory, clears what killed saves left, and tries to write.

        Raises:
            CheckpointError: the directory cannot be used, and why.
        """
        prepare(self.directory)
        with usable(self.directory):
            # First, for leftovers may be what fills the disk.
            remove_leftovers(self.directory)
        probe(self.directory)

    def save(self, documents: Mapping[str, Any]) -> Path:
        """Writes a new checkpoint, and then removes those no longer needed.

        When this returns, the checkpoint survives a power cut. Its number is higher
        than any in the directory, also of broken ones.

        Args:
            documents: by file name; what JSON can hold (and NaN, infinities) for
                `.json`, arrays by name for `.npz`.

        Raises:
            CheckpointError: a document has a name that is not one of these.
            OSError: it could not be written. Older checkpoints are untouched and the
                next save may work. (If only flushing its name failed, it is there.)
            TypeError, ValueError: a value that JSON or NPZ cannot hold.
        """
        writing.check_names(documents)
        found = numbers(self.directory)
        number = max(self._highest, *found, 0) + 1
        path = path_of(self.directory, number)
        self._doubtful.add(number)
        with beside(path) as temporary:
            writing.write(temporary, number, documents)
            move(temporary, path)
        self._accept(number)
        self._prune([*found, number])
        return path

    def load(self) -> Checkpoint | None:
        """Reads the newest whole checkpoint; None if there are none at all.

        Every byte is verified before anything is returned. A broken checkpoint is
        passed over with a `SplittingWarning` that says what is wrong with it.

        Raises:
            CheckpointError: all of them are broken, or the directory is unreadable.
        """
        with usable(self.directory):
            found = numbers(self.directory) if self.directory.exists() else []
        broken: dict[Path, DamagedError] = {}
        for number in reversed(found):
            path = path_of(self.directory, number)
            try:
                loaded = checkpoint.read(path, number)
            except DamagedError as error:
                self._doubtful.add(number)
                broken[path] = error
                continue
            self._accept(number)
            for other, damage in broken.items():
                warnings.warn(
                    f"{other} is broken: {damage}. The older {path.name} is used.",
                    SplittingWarning,
                    stacklevel=2,
                )
            return loaded
        if broken:
            raise CheckpointError(_all_broken(self.directory, broken))
        return None

    def _accept(self, number: int) -> None:
        self._highest = max(self._highest, number)
        self._doubtful.discard(number)
        self.last = path_of(self.directory, number)

    def _prune(self, found: list[int]) -> None:
        good = [n for n in found if n not in self._doubtful][-self.keep :]
        unneeded = [n for n in found if len(good) == self.keep and n < good[0]]
        for path in (path_of(self.directory, number) for number in unneeded):
            try:
                discard(path)
            except OSError as error:
                warnings.warn(
                    f"{path} is no longer needed and could not be removed: {error}. "
                    "The next save tries again.",
                    SplittingWarning,
                    stacklevel=3,
                )


def _all_broken(directory: Path, broken: Mapping[Path, DamagedError]) -> str:
    lines = [
        f"\n  {path.name}: {error}; still whole: {', '.join(error.whole) or 'nothing'}"
        for path, error in broken.items()
    ]
    return (
        f"None of the checkpoints in {directory} can be used:{''.join(lines)}\n"
        "Nothing was changed. Put back what is missing, or start anew: --restart for "
        "the tool, another or an emptied checkpoint_dir for the library."
    )
