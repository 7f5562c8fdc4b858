"""`tf-splitting COMMAND`: picks the command, and says which ones there are."""

import importlib
import sys
import textwrap
from collections.abc import Sequence
from importlib import metadata
from typing import NoReturn

from tf_splitting_programs.running import (
    USER_ERROR,
    WIDTH,
    Call,
    Program,
    nearest,
    run,
)

DISTRIBUTION = "tf_splitting"
COMMANDS = {
    "grow": "grow",
    "shrink": "shrink",
    "reallocate": "reallocate",
    "evaluate": "evaluate",
    "inspect": "inspect_model",
    "export": "export",
}
HELP = ("help", "--help", "-help", "-h", "-?", "--helpshort", "-helpshort")


def main(words: Sequence[str] = ("tf-splitting",)) -> NoReturn:
    """Runs the command that the first argument names, and exits.

    Args:
        words: that call this.
    """
    arguments = sys.argv[1:]
    if not arguments:
        print(_overview(words), file=sys.stderr)
        sys.exit(USER_ERROR)
    name, *others = arguments
    if name in HELP:
        print(_overview(words))
        sys.exit(0)
    if name == "--version":
        print(_versions())
        sys.exit(0)
    if name not in COMMANDS:
        wrong = "a command comes first" if name.startswith("-") else "no such command"
        print(f"error: {name}: {wrong}. {nearest(name, COMMANDS)}", file=sys.stderr)
        sys.exit(USER_ERROR)
    run(Call(program(name), (*words, name), tuple(others)))


def program(name: str) -> Program:
    """The command of this name. Its flags are defined from then on."""
    module = importlib.import_module(f"{__package__}.commands.{COMMANDS[name]}")
    found: Program = module.PROGRAM
    return found


def _overview(words: Sequence[str]) -> str:
    call = " ".join(words)
    summaries = [
        textwrap.fill(
            program(name).summary,
            WIDTH,
            initial_indent=f"  {name:<12}",
            subsequent_indent=" " * 14,
        )
        for name in COMMANDS
    ]
    lines = [
        "Grows Keras models by splitting neurons, under a compute budget.",
        "",
        f"    {call} grow --model=mobilenet_v2 --target_macs=0.2e9",
        "",
        *summaries,
        "",
        f"{call} COMMAND --helpshort    examples, and the flags most used",
        f"{call} COMMAND --help         all flags by topic, and more examples",
        f"{call} --version",
    ]
    return "\n".join(lines)


def _versions() -> str:
    """This version, and those of what it runs on, as far as they are installed."""
    others = [f"Python {sys.version.split()[0]}"]
    for name in ("keras", "tensorflow", "jax"):
        try:
            others.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return f"tf-splitting {metadata.version(DISTRIBUTION)} ({', '.join(others)})"
