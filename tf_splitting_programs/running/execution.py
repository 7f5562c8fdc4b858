"""Runs a command: parses flags, turns mistakes into one message and an exit code."""

import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from functools import partial
from typing import NoReturn

from absl import app, flags, logging

from tf_splitting_programs.flags import program
from tf_splitting_programs.running import quiet
from tf_splitting_programs.running.help import asked_for
from tf_splitting_programs.running.program import Call, Program, UsageError

USER_ERROR = 2
NOT_FINITE = 3
NOT_WRITTEN = 4
PEER_GONE = 5
# What schedulers take for "run me again".
STOPPED = 75
INTERRUPTED = 130


def run_tool(program: Program) -> NoReturn:
    """Runs a command by its script: `python tools/grow.py ...`."""
    run(Call(program, ("python", sys.argv[0]), tuple(sys.argv[1:])))


def run(call: Call) -> NoReturn:
    """Parses the flags, checks them, does the job, and exits.

    Exit codes: 0; 2 after a user's mistake; 3 if the loss became NaN or infinite; 4 if
    the disk is full or broken, or did not take the results; 5 if another process of
    the job is gone; 75 if a signal or a notice stopped the job, which is saved and goes
    on with the same command; 130 after an interrupt where nothing could be saved. Each
    with one message on stderr (and the traceback if --debug). Anything else is a bug
    and shows its traceback.
    """
    app.run(
        lambda _: _guarded(call),
        argv=[" ".join(call.words), *call.arguments],
        flags_parser=partial(_parse, call),
    )


def _parse(call: Call, arguments: list[str]) -> list[str]:
    argument = call.program.argument
    try:
        if (text := asked_for(call)) is not None:
            print(text)
            sys.exit(0)
        rest = flags.FLAGS(arguments)
        if len(rest) == 2 and argument is not None and not argument.present:
            flags.FLAGS[argument.name].parse(rest.pop())
        if len(rest) > 1:
            others = " ".join(rest[1:])
            raise UsageError(f"this command takes flags only, not {others!r}.")
    except (flags.Error, UsageError) as error:
        # Flags that could not be parsed cannot be asked for --debug either.
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)
    return rest


def _guarded(call: Call) -> int:
    logging.set_verbosity(logging.ERROR)
    try:
        call.program.check()
        quiet.import_backend()
        return _do(call)
    except UsageError as error:
        return _complain(error)
    except KeyboardInterrupt as error:
        if program.DEBUG.value:
            traceback.print_exception(error)
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _do(call: Call) -> int:
    from tf_splitting import Interrupted, SplittingError
    from tf_splitting.errors import NonFiniteLossError, PeerError
    from tf_splitting.support import DISK_TROUBLE

    try:
        importlib.import_module(call.program.job).run(call)
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
