"""The folder that a job writes its results to, and goes on in if it was killed."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tf_splitting.errors import CheckpointError, LockedError
from tf_splitting.jobs import lock
from tf_splitting.support import write_text_atomically
from tf_splitting_programs.flags import devices as device_flags
from tf_splitting_programs.flags import job
from tf_splitting_programs.flags import model as model_flags
from tf_splitting_programs.jobs import devices
from tf_splitting_programs.running import Call, UsageError

CHECKPOINTS = "checkpoints"
FLAGS = "flags.txt"

# Flags that do not change what a job computes. (`grow` alone has the first.)
_OF_THE_RUN = {"baselines"} | {
    holder.name
    for holder in (
        job.WORKDIR,
        job.RESTART,
        job.SAVE_STEPS,
        job.EXPORT,
        job.LITERT,
        device_flags.COORDINATOR,
        device_flags.PROCESS_ID,
    )
}


@contextmanager
def opened(call: Call, result: str) -> Iterator[Path]:
    """The folder, made if need be and held for this process alone.

    Args:
        call: whose flags the folder keeps.
        result: name of the file that the job ends with.

    Raises:
        UsageError: it cannot be written to, or holds another job.
        LockedError: another process works there.
    """
    folder = _path()
    if not devices.is_chief():
        # The first process has made and locked it, or will fail for all.
        yield folder
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(lock(folder))
        except LockedError:
            raise
        except CheckpointError as error:
            raise UsageError(
                f"--workdir={folder} cannot be written to: {error}"
            ) from error
        if job.RESTART.value:
            _set_aside(folder)
        _check_flags(call, folder, result)
        try:
            write_text_atomically(folder / FLAGS, _flag_lines(call))
        except OSError as error:
            raise UsageError(
                f"--workdir={folder} cannot be written to: {error}"
            ) from error
        yield folder


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


def _set_aside(folder: Path) -> None:
    """Moves what a job has left to a folder inside, but for the lock."""
    number = 1
    while (aside := folder / f"previous-{number}").exists():
        number += 1
    old = [
        path
        for path in folder.iterdir()
        if not path.name.startswith((".", "previous-"))
    ]
    if old:
        aside.mkdir()
    for path in old:
        path.rename(aside / path.name)


def _check_flags(call: Call, folder: Path, result: str) -> None:
    """Raises unless the folder holds no job, or one with these flags.

    Raises:
        UsageError: it holds another.
    """
    if not (folder / FLAGS).exists():
        if (folder / result).exists():
            raise UsageError(
                f"--workdir={folder} holds {result}, but no {FLAGS} to say of "
                "which job: choose another folder."
            )
        return
    then, now = (
        _by_name(text, call)
        for text in ((folder / FLAGS).read_text(), _flag_lines(call))
    )
    differ = [
        f"{then.get(name, f'no --{name}')} then, {now.get(name, f'no --{name}')} now"
        for name in sorted({*then, *now} - _OF_THE_RUN)
        if then.get(name) != now.get(name)
    ]
    if differ:
        raise UsageError(
            f"--workdir={folder} holds a job with other flags: {'; '.join(differ)}. "
            "Give the same flags to go on with it, another folder, or --restart to "
            "start over."
        )


def _by_name(text: str, call: Call) -> dict[str, str]:
    """The lines of a flagfile by the name of the flag."""
    lines = [line for line in text.splitlines() if line.startswith("--")]
    names = {flag.name for flag in call.program.all_flags()}

    def name(line: str) -> str:
        word = line[2:].partition("=")[0]
        return word if word in names else word.removeprefix("no")

    return {name(line): line for line in lines}


def _flag_lines(call: Call) -> str:
    """The job's flags as a flagfile; without the folder, so that it can be repeated."""
    without = {job.WORKDIR.name, job.RESTART.name}
    lines = [
        flag.serialize()
        for flag in call.program.all_flags()
        if flag.value is not None and flag.name not in without
    ]
    repeat = " ".join([*call.words, "--flagfile=THIS"])
    return "\n".join([f"# To repeat: {repeat}", *lines, ""])
