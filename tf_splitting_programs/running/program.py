"""What a command is, and how it was called."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

from absl import flags

from tf_splitting_programs.flags import program as shared


class UsageError(ValueError):
    """Flags that do not go together."""


class Example(NamedTuple):
    """A call to copy, for the help.

    Attributes:
        arguments: behind the words of the command.
        about: what is special about it, as a line that ends in a colon.
    """

    arguments: str
    about: str = ""


@dataclass(frozen=True)
class Program:
    """A command.

    Attributes:
        summary: what it does, in a line.
        examples: the first two are in the short help, without what is said about them.
        notes: what else there is to know.
        check: raises `UsageError` for what the flags alone can tell.
        job: module with the function `run(call)`. It may import Keras, which help and
            mistyped flags need not wait for.
        topics: modules of flags, in the order of the help.
        most_used: flags for the short help.
        argument: the flag that an argument without a name is for, if any.
    """

    summary: str
    examples: Sequence[Example]
    notes: str
    check: Callable[[], None]
    job: str
    topics: Sequence[ModuleType]
    most_used: Sequence[flags.FlagHolder[Any]]
    argument: flags.FlagHolder[Any] | None = None

    def flags_of(self, topic: ModuleType) -> list[flags.Flag[Any]]:
        """The flags that a module defines, by name."""
        found = flags.FLAGS.get_flags_for_module(topic.__name__)
        return sorted(found, key=lambda flag: flag.name)

    def all_topics(self) -> tuple[ModuleType, ...]:
        """The modules of flags, and that of flags which every command has."""
        return (*self.topics, shared)

    def all_flags(self) -> list[flags.Flag[Any]]:
        """All of the command's flags by name, without absl's own."""
        found = [flag for topic in self.all_topics() for flag in self.flags_of(topic)]
        return sorted(found, key=lambda flag: flag.name)


@dataclass(frozen=True)
class Call:
    """How a command was called.

    Attributes:
        program: the command.
        words: that call it, such as `("tf-splitting", "grow")`.
        arguments: behind them.
    """

    program: Program
    words: tuple[str, ...]
    arguments: tuple[str, ...]

    def command(self, *more: str) -> str:
        """The same call with more arguments, as a line for a shell."""
        return shlex.join([*self.words, *self.arguments, *more])


def require(holder: flags.FlagHolder[Any], what: str) -> None:
    """Raises unless a flag has a value.

    Raises:
        UsageError: it has none.
    """
    if holder.value is None:
        raise UsageError(f"--{holder.name} is missing: give {what}.")
