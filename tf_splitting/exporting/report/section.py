"""A part of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from plotly import graph_objects as go


@dataclass(frozen=True)
class Section:
    """A heading, words, and figures.

    Attributes:
        key: its place in the page, one word.
        title: heading.
        about: how its figures are read, in a sentence or two.
        figures: by what the reader chooses them by, if there are several.
        missing: what cannot be shown, and why; one sentence each.
    """

    key: str
    title: str
    about: str
    figures: Mapping[str, go.Figure] = field(default_factory=dict)
    missing: Sequence[str] = ()


# What sections say that miss something.
NO_CHANGE = "No widths were changed."
OLD = (
    "The history does not hold {}: older versions did not record that, and loops of "
    "one's own need not."
)
