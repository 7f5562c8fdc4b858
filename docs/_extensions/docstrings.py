"""Fits our docstrings to what napoleon and autodoc understand."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

from tf_splitting.growing import (
    arguments,
    grow_arguments,
    reallocate_arguments,
    shrink_arguments,
)

# `a, b: text` explains both; the names may go on in the next line.
TOGETHER = re.compile(
    r"^(?P<indent> *)(?P<names>\w+(?:,\s+\w+)+): (?P<text>.*(?:\n(?P=indent) +.*)*)",
    re.MULTILINE,
)
# Code right in front of a letter: `Signal`s.
ADJOINING = re.compile(r"(?<!`)(`[^`\n]+`)(?=\w)")
# An absolute value, which would be a substitution.
ABSOLUTE = re.compile(r"\|(\S(?:[^|\n]*\S)?)\|")
# Not a list of errors: "As `grow`, but ..."
PROSE = re.compile(r"^Raises:\n +(?=As )", re.MULTILINE)


def tidy(
    app: Sphinx, kind: str, name: str, what: Any, options: Any, lines: list[str]
) -> None:
    """Rewrites a docstring before napoleon reads it."""
    text = "\n".join(lines)
    text = TOGETHER.sub(_one_by_one, text)
    text = PROSE.sub("**Raises:** ", text)
    text = re.sub(r"^Source: ", "**Source:** ", text, flags=re.MULTILINE)
    text = ABSOLUTE.sub(r"\\|\1\\|", text)
    text = ADJOINING.sub(r"\1\\ ", text)
    lines[:] = text.split("\n")


def _one_by_one(found: re.Match[str]) -> str:
    """The same of every name: napoleon reads the first word as a name only."""
    first, *others = re.split(r",\s+", found["names"])
    indent, text = found["indent"], found["text"]
    # A long text is not said twice.
    again = text if "\n" not in text and len(text) < 60 else f"see `{first}`."
    return "\n".join(
        [f"{indent}{first}: {text}", *(f"{indent}{each}: {again}" for each in others)]
    )


def resolve(app: Sphinx, function: Any, bound: bool) -> None:
    """Makes types of the words in a signature that `takes` has put together."""
    if not hasattr(function, "__wrapped__") or "growing" not in function.__module__:
        return
    shown = function.__signature__
    described = (arguments, grow_arguments, shrink_arguments, reallocate_arguments)
    known = {name: value for each in described for name, value in vars(each).items()}
    function.__signature__ = shown.replace(
        parameters=[
            each.replace(annotation=eval(each.annotation, known))
            if isinstance(each.annotation, str)
            else each
            for each in shown.parameters.values()
        ]
    )


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", tidy, priority=400)
    app.connect("autodoc-before-process-signature", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
