"""Flag types that absl lacks: choices that name the nearest, finite numbers, text."""

import difflib
import math
from collections.abc import Sequence
from typing import Any

from absl import flags


class _ChoiceParser(flags.ArgumentParser[str]):
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


class _NumberParser(flags.ArgumentParser[str | float]):
    """A finite number within bounds, or one of some words."""

    def __init__(
        self,
        above: float | None,
        at_least: float | None,
        at_most: float | None,
        words: Sequence[str] = (),
    ) -> None:
        self._above = -math.inf if above is None else above
        self._at_least = -math.inf if at_least is None else at_least
        self._at_most = math.inf if at_most is None else at_most
        self._words = tuple(words)
        bounds = {"above": above, "of at least": at_least, "and at most": at_most}
        given = [f"{word} {n:g}" for word, n in bounds.items() if n is not None]
        self.syntactic_help = " ".join(["a number", *given]) + "".join(
            f" or {word!r}" for word in words
        )

    def parse(self, argument: str | float) -> str | float:
        if argument in self._words:
            return argument
        try:
            value = float(argument)
        except ValueError as error:
            raise ValueError(f"expected {self.syntactic_help}") from error
        within = self._above < value and self._at_least <= value <= self._at_most
        if not (within and math.isfinite(value)):
            raise ValueError(f"expected {self.syntactic_help}")
        return value

    def flag_type(self) -> str:
        return "number or word" if self._words else "float"


class _NumbersParser(_NumberParser):
    """A finite number within bounds, or several with commas between them."""

    def __init__(self, above: float) -> None:
        super().__init__(above, None, None)
        self.syntactic_help += ", or several separated by commas"

    def parse(self, argument: str | float | tuple[float, ...]) -> Any:
        if isinstance(argument, tuple):
            return argument
        if isinstance(argument, float) or "," not in argument:
            return super().parse(argument)
        return tuple(super(_NumbersParser, self).parse(n) for n in argument.split(","))

    def flag_type(self) -> str:
        return "number or numbers"


class _NumbersSerializer(flags.ArgumentSerializer[Any]):
    def serialize(self, value: Any) -> str:
        return ",".join(map(str, value if isinstance(value, tuple) else (value,)))


class _TextParser(flags.ArgumentParser[str]):
    syntactic_help = "text"

    def parse(self, argument: str) -> str:
        if not argument.strip():
            raise ValueError("expected something behind the =; or leave the flag out")
        return argument

    def flag_type(self) -> str:
        return "string"


def define_choice(
    name: str, default: str | None, choices: Sequence[str], help: str
) -> flags.FlagHolder[Any]:
    """A flag that takes one of some names and says the nearest to any other."""
    return flags.DEFINE(
        _ChoiceParser(choices), name, default, help, serializer=_SERIALIZER
    )


def define_number(
    name: str,
    default: str | float | None,
    help: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    words: Sequence[str] = (),
) -> flags.FlagHolder[Any]:
    """A flag that takes a finite number within bounds, or one of some words."""
    parser = _NumberParser(above, at_least, at_most, words)
    return flags.DEFINE(parser, name, default, help, serializer=_SERIALIZER)


def define_numbers(name: str, help: str, *, above: float) -> flags.FlagHolder[Any]:
    """A flag that takes a finite number, or a tuple of some with commas in between."""
    parser = _NumbersParser(above)
    return flags.DEFINE(parser, name, None, help, serializer=_NumbersSerializer())


def define_text(name: str, default: str | None, help: str) -> flags.FlagHolder[Any]:
    """A flag that takes text, some at least."""
    return flags.DEFINE(_TextParser(), name, default, help, serializer=_SERIALIZER)


_SERIALIZER: flags.ArgumentSerializer[Any] = flags.ArgumentSerializer()

# A flag belongs to the module that calls the functions above, for `--help`.
flags.disclaim_key_flags()
