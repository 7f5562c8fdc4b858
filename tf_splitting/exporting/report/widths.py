"""Widths before and after by layer, and how they came about round by round."""

from __future__ import annotations

import math

from plotly import graph_objects as go

from tf_splitting.exporting.report.colours import BLUE, NARROWER_TO_WIDER, PAPER, QUIET
from tf_splitting.exporting.report.drawing import (
    AROUND,
    ROW,
    add_bars,
    axis,
    figure,
    rows,
    shown,
)
from tf_splitting.exporting.report.section import NO_CHANGE, OLD, Section
from tf_splitting.training import GrowthHistory, Seed


def section(history: GrowthHistory) -> Section:
    """Bars by layer; by round a field of spaces, as wide as they have become."""
    title = "Widths"
    about = (
        "Neurons (channels, units, heads) that layers put out, from the input to the "
        "output. By round, colours say how much wider or narrower a channel space is "
        "than at the start; layers that are added to each other share one space."
    )
    if not history.rounds:
        return Section("widths", title, about, missing=[NO_CHANGE])
    if history.seed is None:
        missing = [OLD.format("the widths that the job started from")]
        return Section("widths", title, about, missing=missing)
    figures, missing = {}, []
    if history.rounds[-1].layer_widths:
        figures["before and after"] = _bars(history, history.seed)
    else:
        missing.append(OLD.format("the widths of its layers"))
    figures["round by round"] = _field(history, history.seed)
    return Section("widths", title, about, figures, missing)


def _bars(history: GrowthHistory, seed: Seed) -> go.Figure:
    before, after = seed.layer_widths, history.rounds[-1].layer_widths
    layers = list(before)
    result = figure(AROUND + ROW * len(layers), barmode="group", bargap=0.25)
    told = [
        f"{shown(layer)}<br>{before[layer]} → <b>{after[layer]}</b> neurons, "
        f"×{after[layer] / before[layer]:.2f}"
        for layer in layers
    ]
    for name, widths, colour in (("before", before, QUIET), ("after", after, BLUE)):
        add_bars(result, name, colour, [widths[layer] for layer in layers], told)
    result.layout.xaxis = axis("neurons", side="bottom")
    result.layout.yaxis = rows(layers)
    return result


def _field(history: GrowthHistory, seed: Seed) -> go.Figure:
    changed = [
        space
        for space, width in seed.widths.items()
        if any(record.widths[space] != width for record in history.rounds)
    ]
    steps = [seed.widths, *(record.widths for record in history.rounds)]
    ratios = [[s[space] / seed.widths[space] for s in steps] for space in changed]
    strongest = max((abs(math.log2(r)) for row in ratios for r in row), default=0.0)
    result = figure(AROUND + ROW * len(changed))
    result.add_heatmap(
        z=[[math.log2(ratio) for ratio in row] for row in ratios],
        x=list(range(len(steps))),
        y=list(range(len(changed))),
        zmid=0,
        zmin=-strongest,
        zmax=strongest,
        colorscale=[list(stop) for stop in NARROWER_TO_WIDER],
        showscale=False,
        xgap=2,
        ygap=2,
        text=[[s[space] for s in steps] for space in changed],
        texttemplate="%{text}" if len(steps) <= 8 else None,
        customdata=[
            [[shown(space), ratio] for ratio in row]
            for space, row in zip(changed, ratios, strict=True)
        ],
        hovertemplate="%{customdata[0]}<br>round %{x}: <b>%{text}</b> neurons, "
        "×%{customdata[1]:.2f}<extra></extra>",
        hoverlabel={"bgcolor": PAPER},
    )
    result.layout.xaxis = axis(
        "round (0: at the start)", dtick=1, showgrid=False, zeroline=False
    )
    result.layout.yaxis = rows(changed)
    return result
