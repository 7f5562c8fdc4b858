"""Where the MACs are, layer by layer."""

from __future__ import annotations

from plotly import graph_objects as go

from tf_splitting.exporting.report.colours import BLUE, QUIET
from tf_splitting.exporting.report.drawing import (
    AROUND,
    ROW,
    add_bars,
    axis,
    figure,
    rows,
    shown,
)
from tf_splitting.exporting.report.section import OLD, Section
from tf_splitting.support import format_count
from tf_splitting.training import GrowthHistory


def section(history: GrowthHistory) -> Section:
    """Bars by layer, before and after."""
    title = "Where the MACs are"
    about = (
        "Multiply-accumulates of one example in every layer that has some, from the "
        "input to the output."
    )
    if history.seed is None or not all(r.layer_macs for r in history.rounds[-1:]):
        missing = [OLD.format("the MACs of its layers")]
        return Section("macs", title, about, missing=missing)
    stages = {"before": history.seed.layer_macs}
    if history.rounds:
        stages["after"] = history.rounds[-1].layer_macs
    return Section("macs", title, about, {"": _drawn(stages)})


def _drawn(stages: dict[str, dict[str, int]]) -> go.Figure:
    layers = list(stages["before"])
    result = figure(AROUND + ROW * len(layers), barmode="group", bargap=0.25)
    for (name, macs), colour in zip(stages.items(), (QUIET, BLUE)):
        whole = max(1, sum(macs.values()))
        told = [
            f"{shown(layer)}, {name}<br><b>{format_count(macs[layer])}</b> MACs, "
            f"{macs[layer] / whole:.1%} of {format_count(whole)}"
            for layer in layers
        ]
        add_bars(result, name, colour, [macs[layer] for layer in layers], told)
    result.layout.xaxis = axis("MACs", tickformat="~s")
    result.layout.yaxis = rows(layers)
    return result
