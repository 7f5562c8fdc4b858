"""The members of a family next to each other, and what they are compared with."""

from __future__ import annotations

from collections.abc import Sequence

from tf_splitting.exporting.report.colours import BLUE, MUTED, VERMILLION
from tf_splitting.exporting.report.drawing import axis, figure, shown
from tf_splitting.exporting.report.section import Section
from tf_splitting.exporting.reporting import Curve
from tf_splitting.support import format_count


def section(curves: Sequence[Curve], quantity: str) -> Section:
    """Models by their MACs."""
    result = figure(360, hovermode="closest")
    for curve, colour, symbol in zip(
        curves, (BLUE, VERMILLION, MUTED), ("circle", "square", "circle-open")
    ):
        result.add_scatter(
            x=list(curve.macs),
            y=list(curve.values),
            name=shown(curve.label),
            mode="lines+markers",
            marker={"color": colour, "size": 10, "symbol": symbol, "line_width": 2},
            line={"color": colour, "width": 2},
            text=[format_count(macs) for macs in curve.macs],
            hovertemplate=f"{shown(curve.label)}<br>{shown(quantity)} "
            "<b>%{y:.4f}</b><br>%{text} MACs<extra></extra>",
        )
    sizes = sorted({macs for curve in curves[:1] for macs in curve.macs})
    result.layout.xaxis = axis(
        "MACs",
        type="log",
        tickvals=sizes,
        ticktext=[format_count(size) for size in sizes],
    )
    result.layout.yaxis = axis(shown(quantity))
    about = "Every finished model of the job, by its MACs."
    return Section("family", "The family", about, {"": result})
