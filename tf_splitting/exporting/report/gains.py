"""What a MAC bought in every space, round by round."""

from __future__ import annotations

import math

from plotly import graph_objects as go

from tf_splitting.exporting.report.drawing import (
    AROUND,
    ROW,
    axis,
    figure,
    one_of_many,
    rows,
    shown,
)
from tf_splitting.exporting.report.section import NO_CHANGE, OLD, Section
from tf_splitting.support import format_count
from tf_splitting.training import GrowthHistory, RoundRecord

MILLION = 1e6


def section(history: GrowthHistory) -> Section:
    """A dot for every space that a round has changed."""
    title = "Gain per MAC"
    about = (
        "By how much the loss was predicted to fall per million MACs that a channel "
        "space takes by itself (dots), or to rise per million that it frees (crosses); "
        "a mark is hollow where the prediction is the other way round. Selection takes "
        "what buys most first."
    )
    rounds = history.rounds
    if not rounds:
        return Section("gains", title, about, missing=[NO_CHANGE])
    if not any(record.space_macs for record in rounds):
        missing = [OLD.format("gains and MACs by space")]
        return Section("gains", title, about, missing=missing)
    if not any(record.gains for record in rounds):
        missing = ["Nothing was predicted: the method takes no estimates."]
        return Section("gains", title, about, missing=missing)
    return Section("gains", title, about, {"": _drawn(rounds)})


def per_million(record: RoundRecord) -> dict[str, float]:
    """What the loss was to fall by per million MACs more, or to rise by per less.

    By space; those whose neurons cost no MACs are left out.
    """
    return {
        space: MILLION * gain / macs
        for space, gain in record.gains.items()
        if (macs := record.space_macs[space])
    }


def _drawn(rounds: list[RoundRecord]) -> go.Figure:
    found = {record.round: per_million(record) for record in rounds}
    names = [s for s in rounds[-1].widths if any(s in each for each in found.values())]
    # A legend of many rounds takes two lines on a phone.
    result = figure(AROUND + ROW * (len(names) + 2), hovermode="closest")
    for record, colour in zip(rounds, one_of_many(len(rounds)), strict=True):
        spaces = [space for space in names if space in found[record.round]]
        result.add_scatter(
            x=[abs(found[record.round][space]) for space in spaces],
            y=[names.index(space) for space in spaces],
            name=f"round {record.round}",
            mode="markers",
            marker={
                "color": colour,
                "size": 10,
                "line_width": 2,
                "symbol": [
                    ("x" if record.space_macs[space] < 0 else "circle")
                    + ("-open" if found[record.round][space] < 0 else "")
                    for space in spaces
                ],
            },
            text=[
                f"{shown(space)}, round {record.round}<br>loss "
                f"{'rises' if gains < 0 else 'falls'} by <b>{abs(gains):.3g}</b>, "
                f"{format_count(abs(record.space_macs[space]))} MACs "
                f"{'less' if record.space_macs[space] < 0 else 'more'}"
                for space in spaces
                for gains in [record.gains[space]]
            ],
            hovertemplate="%{text}<br><b>%{x:.3g}</b> per million<extra></extra>",
        )
    result.layout.xaxis = axis(
        "loss per million MACs",
        type="log",
        tickvals=(marks := _marks(found)),
        ticktext=[f"{mark:g}" for mark in marks],
        tickangle=0,
    )
    result.layout.yaxis = {**rows(names), "showgrid": True}
    return result


def _marks(found: dict[int, dict[str, float]]) -> list[float]:
    """Round numbers on a logarithmic axis, five or so."""
    sizes = [abs(v) for each in found.values() for v in each.values() if v]
    if not sizes:
        return []
    low, high = math.floor(math.log10(min(sizes))), math.ceil(math.log10(max(sizes)))
    marks = [
        float(f"{digit}e{power}")
        for power in range(low, high + 1)
        for digit in (1, 2, 5)
    ]
    inside = [m for m in marks if min(sizes) / 2.5 <= m <= 2.5 * max(sizes)]
    return inside[:: -(-len(inside) // 5)]
