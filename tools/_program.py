"""Runs a tool: parses flags, and turns mistakes into one message and an exit code."""

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType

import _quiet
from absl import app, flags, logging

from flags import program

USER_ERROR = 2
NOT_FINITE = 3
NOT_WRITTEN = 4
PEER_GONE = 5
# What schedulers take for "run me again".
STOPPED = 75
INTERRUPTED = 130


class UsageError(ValueError):
    """Flags that do not go together."""


def run(
    check: Callable[[], None],
    job: str,
    flag_modules: tuple[ModuleType, ...],
    argument: str | None = None,
) -> None:
    """Parses the flags, checks them, does the job, and exits.

    Exit codes: 0; 2 after a user's mistake; 3 if the loss became NaN or infinite; 4 if
    the disk is full or broken, or did not take the results; 5 if another process of
    the job is gone; 75 if a signal or a notice stopped the job, which is saved and goes
    on with the same command; 130 after an interrupt where nothing could be saved. Each
    with one message on stderr (and the traceback if --debug). Anything else is a bug
    and shows its traceback.

    Args:
        check: raises `UsageError` for what the flags alone can tell.
        job: module with the function `run`. It may import Keras, which `--help` and
            mistyped flags need not wait for.
        flag_modules: whose flags `--help` shows.
        argument: the flag that an argument without a name is for, if any.
    """
    for module in (*flag_modules, program):
        flags.adopt_module_key_flags(module)
    app.run(
        lambda arguments: _guarded(check, job), flags_parser=partial(_parse, argument)
    )


def key_flags() -> list[flags.Flag]:
    """The flags of the tool that runs, without absl's own."""
    keys = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    return sorted(keys, key=lambda flag: flag.name)


def require(holder: flags.FlagHolder, what: str) -> None:
    """Raises unless a flag has a value.

    Raises:
        UsageError: it has none.
    """
    if holder.value is None:
        raise UsageError(f"--{holder.name} is missing: give {what}.")


def _parse(argument: str | None, arguments: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(arguments)
        if len(rest) == 2 and argument and not flags.FLAGS[argument].present:
            flags.FLAGS[argument].parse(rest.pop())
        if len(rest) > 1:
            raise UsageError(f"this tool takes flags only, not {' '.join(rest[1:])!r}.")
    except (flags.Error, UsageError) as error:
        # Flags that could not be parsed cannot be asked for --debug either.
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)
    return rest


def _guarded(check: Callable[[], None], job: str) -> int:
    logging.set_verbosity(logging.ERROR)
    try:
        check()
        _quiet.import_backend()
        return _do(job)
    except UsageError as error:
        return _complain(error)
    except KeyboardInterrupt as error:
        if program.DEBUG.value:
            traceback.print_exception(error)
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _do(job: str) -> int:
    from tf_splitting import Interrupted, SplittingError
    from tf_splitting.errors import NonFiniteLossError, PeerError
    from tf_splitting.support import DISK_TROUBLE

    try:
        importlib.import_module(job).run()
    except NonFiniteLossError as error:
        return _complain(error, NOT_FINITE)
    except PeerError as error:
        code = _complain(error, PEER_GONE)
        sys.stdout.flush()
        sys.stderr.flush()
        # Leaving as usual would wait a minute and a half for the others.
        os._exit(code)
    except (SplittingError, UsageError) as error:
        of_the_disk = any(
            isinstance(cause, OSError) and cause.errno in DISK_TROUBLE
            for cause in _causes(error)
        )
        return _complain(error, NOT_WRITTEN if of_the_disk else USER_ERROR)
    except OSError as error:
        return _complain(error, NOT_WRITTEN)
    except Interrupted as stop:
        if stop.checkpoint is None:
            raise
        return STOPPED
    return 0


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _complain(error: Exception, code: int = USER_ERROR) -> int:
    if program.DEBUG.value:
        traceback.print_exception(error)
    print(f"error: {error}", file=sys.stderr)
    return code


# The flags that `run` adopts are those of the tool that calls it.
flags.disclaim_key_flags()
