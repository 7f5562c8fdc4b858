"""Flag types that absl lacks: a choice that knows the nearest name, number or word."""

import difflib
from collections.abc import Sequence
from typing import Any

from absl import flags


class _ChoiceParser(flags.ArgumentParser):
    def __init__(self, choices: Sequence[str]) -> None:
        self._choices = tuple(choices)
        self.syntactic_help = f"<{'|'.join(self._choices)}>"

    def parse(self, argument: str) -> str:
        if argument in self._choices:
            return argument
        near = difflib.get_close_matches(argument, self._choices, 1, 0)[0]
        raise ValueError(
            f"expected one of {', '.join(self._choices)}; the nearest is {near!r}"
        )

    def flag_type(self) -> str:
        return "choice"


class _NumberOrWordParser(flags.ArgumentParser):
    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)
        self.syntactic_help = f"a number or {' or '.join(map(repr, words))}"

    def parse(self, argument: str | float) -> str | float:
        if argument in self._words:
            return argument
        try:
            return float(argument)
        except ValueError as error:
            raise ValueError(f"expected {self.syntactic_help}") from error

    def flag_type(self) -> str:
        return "number or word"


def define_choice(
    name: str, default: str | None, choices: Sequence[str], help: str
) -> flags.FlagHolder[Any]:
    """A flag that takes one of some names and says the nearest to any other."""
    return flags.DEFINE(
        _ChoiceParser(choices), name, default, help, serializer=_SERIALIZER
    )


def define_number_or_word(
    name: str, default: str | float | None, words: Sequence[str], help: str
) -> flags.FlagHolder[Any]:
    """A flag that takes a number or one of some words."""
    return flags.DEFINE(
        _NumberOrWordParser(words), name, default, help, serializer=_SERIALIZER
    )


_SERIALIZER = flags.ArgumentSerializer()

# A flag belongs to the module that calls the functions above, for `--help`.
flags.disclaim_key_flags()
