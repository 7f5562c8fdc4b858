"""What all figures of the report share."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from plotly import colors
from plotly import graph_objects as go

from tf_splitting.exporting.report.colours import (
    BLUE,
    GREEN,
    INK,
    LINES,
    MUTED,
    PAPER,
    PURPLE,
    QUIET,
    VERMILLION,
)

# Characters of a layer's name that fit beside bars on a phone. Its end says most.
LONGEST = 24
# Pixels for a row of bars, and around all rows.
ROW, AROUND = 22, 110
_APART = (BLUE, VERMILLION, GREEN, PURPLE, QUIET)


def shown(name: str) -> str:
    """A user's words as text: figures take tags and links for such otherwise."""
    return html.escape(str(name), quote=False)


def short(name: str) -> str:
    """The end of a long name, as text."""
    return shown(name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}")


def figure(height: int, **layout: Any) -> go.Figure:
    """An empty figure.

    Args:
        height: in pixels; the width is the page's.
        layout: what differs from others.
    """
    font = {"family": "system-ui, sans-serif", "size": 13, "color": INK}
    # In the margin, whatever the height: a share of it would fall into tall figures.
    legend = {
        "orientation": "h",
        "x": 0,
        "y": 1,
        "yref": "container",
        "yanchor": "top",
    }
    return go.Figure(
        layout={
            "template": "none",
            "height": height,
            "font": font,
            "margin": {"l": 8, "r": 16, "t": 48, "b": 8},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            # Fingers that move over a figure scroll the page.
            "dragmode": False,
            "hoverlabel": {
                "bgcolor": PAPER,
                "bordercolor": MUTED,
                "font": font,
                "align": "left",
            },
            "legend": legend,
            "barcornerradius": 2,
            **layout,
        }
    )


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis with quiet lines.

    Args:
        title: of it.
        more: what differs from others.
    """
    return {
        "title": {"text": title, "font": {"color": MUTED}, "standoff": 8},
        "gridcolor": LINES,
        "linecolor": LINES,
        "zerolinecolor": LINES,
        "tickfont": {"color": MUTED},
        "automargin": True,
        "fixedrange": True,
        **more,
    }


def rows(names: Sequence[str]) -> dict[str, Any]:
    """A vertical axis of names, the first on top; row i lies at i."""
    return axis(
        tickmode="array",
        tickvals=list(range(len(names))),
        ticktext=[f"{short(name)} " for name in names],
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )


def add_bars(
    result: go.Figure,
    name: str,
    colour: str,
    lengths: Sequence[float],
    told: Sequence[str],
) -> None:
    """Bars of one kind in `rows`.

    Args:
        result: gets them.
        name: of the kind.
        colour: of the bars.
        lengths: by row.
        told: what is shown of each under the mouse.
    """
    result.add_bar(
        x=lengths,
        y=list(range(len(lengths))),
        name=name,
        orientation="h",
        marker={"color": colour},
        text=told,
        textposition="none",
        hovertemplate="%{text}<extra></extra>",
    )


def one_of_many(count: int) -> list[str]:
    """Colours for so many: apart if they are few, else in an order, from cividis."""
    if count <= len(_APART):
        return list(_APART[:count])
    # Its middle is seen on light paper and on dark.
    places = [0.4 + 0.45 * i / (count - 1) for i in range(count)]
    return list(colors.sample_colorscale("cividis", places))
