"""What a terminal shows: lines that fit its width, and a few colours.

Anything else, such as a file or a pipe, gets plain text, whole lines of it.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Sequence
from typing import Literal, NamedTuple

Style = Literal["plain", "bold", "dim", "blue"]

# Where nobody knows how wide a terminal is.
USUAL_WIDTH = 80
_CODES = {"bold": "1", "dim": "2", "blue": "34"}


class Piece(NamedTuple):
    """A part of a line.

    Attributes:
        text: without colours.
        weight: how much it matters: where not all fits, the lightest are left out.
        style: how a terminal shows it.
    """

    text: str
    weight: float
    style: Style = "plain"


def terminal_width() -> int | None:
    """Columns of the terminal that output goes to; None if it goes elsewhere.

    What goes to a dumb terminal cannot be written over, as in a file.
    """
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return None
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or USUAL_WIDTH
    except OSError:
        return USUAL_WIDTH


def styled(text: str, style: Style) -> str:
    """The text in a style, where output goes to a terminal that has styles.

    Whoever sets NO_COLOR (https://no-color.org) gets none.
    """
    if style == "plain" or os.environ.get("NO_COLOR") or terminal_width() is None:
        return text
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


def line_of(pieces: Sequence[Piece]) -> str:
    """A line of what matters most, in order; as much as the terminal is wide.

    Example:
        >>> line_of([Piece("epoch 3", 2), Piece("loss 0.31", 1), Piece("12s", 3)])
        'epoch 3  loss 0.31  12s'
    """
    fit, gap = fitting(pieces)
    return gap.join(styled(piece.text, piece.style) for piece in fit)


def fitting(pieces: Sequence[Piece]) -> tuple[list[Piece], str]:
    """The pieces that a line has room for, and what goes between them."""
    columns = terminal_width()
    # A terminal may go to its next line after the last column already.
    room = None if columns is None else columns - 1
    if room is None or len("  ".join(piece.text for piece in pieces)) <= room:
        return list(pieces), "  "
    kept: list[int] = []
    for number in sorted(range(len(pieces)), key=lambda i: -pieces[i].weight):
        text = pieces[number].text
        if not kept and len(text) > room:
            return [Piece(f"{text[: room - 1]}…", 0)], " "
        if len(text) + (1 if kept else 0) <= room:
            kept.append(number)
            room -= len(text) + (1 if len(kept) > 1 else 0)
    return [pieces[number] for number in sorted(kept)], " "


def wrapped(text: str) -> str:
    """A sentence, between its words in lines that the terminal has room for."""
    columns = terminal_width()
    return text if columns is None else textwrap.fill(text, columns - 1)
