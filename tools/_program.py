"""Runs a tool: parses flags, and turns mistakes into one message and an exit code."""

import sys
from collections.abc import Callable
from types import ModuleType

import _quiet
from absl import app, flags, logging

from flags import program

USER_ERROR = 2
INTERRUPTED = 130


class UsageError(ValueError):
    """Flags that do not go together."""


def run(main: Callable[[], None], flag_modules: tuple[ModuleType, ...]) -> None:
    """Runs `main`, which takes no arguments, and exits.

    Exit codes: 0; 2 after a user's mistake, with one message on stderr (and the
    traceback if --debug); 130 after an interrupt. Anything else is a bug and shows
    its traceback.

    Args:
        main: the tool. TensorFlow has been imported when it is called.
        flag_modules: whose flags `--help` shows.
    """
    for module in (*flag_modules, program):
        flags.adopt_module_key_flags(module)
    app.run(lambda arguments: _guarded(main, arguments), flags_parser=_parse)


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


def _parse(arguments: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(arguments)
    except flags.Error as error:
        _complain(error)
        sys.exit(USER_ERROR)
    if len(rest) > 1:
        _complain(f"this tool takes flags only, not {' '.join(rest[1:])!r}.")
        sys.exit(USER_ERROR)
    return rest


def _guarded(main: Callable[[], None], arguments: list[str]) -> int:
    logging.set_verbosity(logging.ERROR)
    try:
        _quiet.import_tensorflow()
        return _run(main)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _run(main: Callable[[], None]) -> int:
    from tf_splitting import SplittingError

    try:
        main()
    except (SplittingError, UsageError) as error:
        if program.DEBUG.value:
            raise
        _complain(error)
        return USER_ERROR
    return 0


def _complain(error: object) -> None:
    print(f"error: {error}", file=sys.stderr)


# The flags that `run` adopts are those of the tool that calls it.
flags.disclaim_key_flags()
