"""What `--helpshort` and `--help` print: a screenful, and everything by topic."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from absl import flags

from tf_splitting_programs.running.program import Call, Example, UsageError
from tf_splitting_programs.running.spelling import nearest

WIDTH = 80
# Where what is said of a flag begins.
COLUMN = 22
LONG = re.compile(r"--?(?:h|\?|help)(?:=(?P<topic>.*))?")
SHORT = re.compile(r"--?helpshort")


def asked_for(call: Call) -> str | None:
    """The help that a call asks for, if it does.

    Raises:
        UsageError: there is no such topic.
    """
    for argument in call.arguments:
        if argument == "--":
            return None
        if SHORT.fullmatch(argument):
            return short(call)
        if (long := LONG.fullmatch(argument)) is not None:
            return topic(call, long["topic"]) if long["topic"] else everything(call)
    return None


def short(call: Call) -> str:
    """What the command does, examples, the flags most used: 24 lines at most."""
    program = call.program
    lines = [program.summary, ""]
    for example in program.examples[:2]:
        lines += _example(call, example)
    lines.append("")
    for holder in program.most_used:
        lines += _flag(flags.FLAGS[holder.name], brief=True)
    words = " ".join(call.words)
    lines += ["", f"All flags by topic, and more examples: {words} --help"]
    return "\n".join(lines)


def everything(call: Call) -> str:
    """All examples and notes, and all flags by topic."""
    program = call.program
    names = [_name(each) for each in program.all_topics()]
    of_one = f"{' '.join(call.words)} --help={names[0]}"
    lines = [program.summary, ""]
    for example in program.examples:
        if example.about:
            lines += ["", *_wrapped(example.about), ""]
        lines += _example(call, example)
    for paragraph in program.notes.strip().split("\n\n"):
        lines += ["", *_wrapped(" ".join(paragraph.split()))]
    lines.append("")
    lines += _wrapped(f"Topics: {', '.join(names)}. One of them alone: {of_one}")
    for each in program.all_topics():
        lines += ["", *_topic(call, each)]
    return "\n".join(lines)


def topic(call: Call, name: str) -> str:
    """The flags of one topic.

    Raises:
        UsageError: there is no such topic.
    """
    topics = {_name(each): each for each in call.program.all_topics()}
    if name not in topics:
        raise UsageError(f"--help={name}: no such topic. {nearest(name, topics)}")
    return "\n".join(_topic(call, topics[name]))


def _name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


def _topic(call: Call, module: ModuleType) -> Iterator[str]:
    title = " ".join((module.__doc__ or "").split())
    yield from _wrapped(f"{_name(module)}: {title}")
    yield ""
    for flag in call.program.flags_of(module):
        yield from _flag(flag)


def _example(call: Call, example: Example) -> Iterator[str]:
    """A call to copy, with a backslash where a line ends too early."""
    wrapped = textwrap.wrap(
        f"{' '.join(call.words)} {example.arguments}",
        WIDTH - 2,
        initial_indent=" " * 4,
        subsequent_indent=" " * 8,
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in wrapped[:-1]:
        yield f"{line} \\"
    yield wrapped[-1]


def _flag(flag: flags.Flag[Any], *, brief: bool = False) -> list[str]:
    """A flag's lines: what it says of itself, its values, and the default.

    Args:
        flag: to describe.
        brief: whether the first sentence will do, and one that says a default.
    """
    name = f"  --{'[no]' * flag.boolean}{flag.name}"
    said = flag.help or ""
    if brief:
        first, *others = re.split(r"(?<=\.)\s(?=[A-Z-])", said)
        said = " ".join([first, *(s for s in others if s.startswith("Default:"))])
        known = isinstance(flag.default, str) and flag.default in said
        details = [] if known else _default(flag)
    else:
        values = flag.parser.syntactic_help
        details = [values] * (values not in ("", "text")) + _default(flag)
    if details:
        said = f"{said} ({'; '.join(details)})"
    lines = textwrap.wrap(said, WIDTH - COLUMN, break_on_hyphens=False)
    if len(name) + 1 > COLUMN:
        return [name, *(" " * COLUMN + line for line in lines)]
    first, *others = lines
    return [f"{name:<{COLUMN}}{first}", *(" " * COLUMN + line for line in others)]


def _default(flag: flags.Flag[Any]) -> list[str]:
    if flag.default is None:
        return []
    text = str(flag.default_as_str).strip("'")
    return [f"default: {text}"]


def _wrapped(text: str) -> Sequence[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
