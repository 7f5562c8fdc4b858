"""How metric and loss went, against MACs, training compute and epochs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from plotly import graph_objects as go

from tf_splitting.exporting.report.colours import BLUE, MUTED, PURPLE, VERMILLION
from tf_splitting.exporting.report.drawing import axis, figure, shown
from tf_splitting.exporting.report.section import OLD, Section
from tf_splitting.exporting.reporting import metric_name
from tf_splitting.support import format_count
from tf_splitting.training import GrowthHistory

Epoch = Mapping[str, Any]

# By what reader chooses: the title of the axis.
_MACS, _COMPUTE, _EPOCHS = "by MACs", "by training compute", "by epoch"
_TITLES = {
    _MACS: "MACs of the model",
    _COMPUTE: "training compute so far, in MACs × images",
    _EPOCHS: "epoch",
}


class _Style(NamedTuple):
    """What a curve shows and how; `in_legend` of one panel's alone."""

    key: str
    name: str
    color: str
    in_legend: bool


def section(history: GrowthHistory) -> Section:
    """Every epoch is a dot; lines follow the job, or join the sizes of the model."""
    about = (
        "Training values are means over an epoch, while weights change; test values "
        "are measured at its end. Against MACs lines join the last epochs before "
        "changes of widths; elsewhere dashed lines mark these."
    )
    if not history.epochs:
        return Section(
            "curve", "The curve", about, missing=["No epoch has been trained."]
        )
    choices, missing = [_MACS, _COMPUTE, _EPOCHS], []
    if not all("compute" in epoch for epoch in history.epochs):
        choices.remove(_COMPUTE)
        missing.append(OLD.format("the training compute of its epochs"))
    figures = {choice: _drawn(history, choice) for choice in choices}
    return Section("curve", "The curve", about, figures, missing)


def _drawn(history: GrowthHistory, choice: str) -> go.Figure:
    metric = metric_name(history.epochs)
    quantities = [metric, "loss"] if metric else ["loss"]
    result = figure(150 + 230 * len(quantities), hovermode="closest")
    at = _places(history, history.epochs, choice)
    for row, quantity in enumerate(quantities, 1):
        mine = {"xaxis": "x", "yaxis": f"y{row}"}
        for key, label, colour in (
            (quantity, "training", VERMILLION),
            (f"val_{quantity}", "test", BLUE),
        ):
            style = _Style(key, label, colour, row == 1)
            _add(result, history.epochs, at, choice, style, **mine)
            for member in history.members:
                if member.epochs and label == "test":
                    path = history.path_to(member)
                    whole = _places(history.path_to(member), path.epochs, choice)
                    # From the dot where it left the job's own path.
                    start = max(member.epoch - 1, 0)
                    its, places = path.epochs[start:], whole[start:]
                    first = row == 1 and member is history.members[0]
                    style = _Style(key, "members", PURPLE, first)
                    _add(result, its, places, choice, style, **mine)
        top = 1 - (row - 1) / len(quantities)
        bottom = top - 1 / len(quantities) + (0.08 if row < len(quantities) else 0)
        result.layout[f"yaxis{row}"] = axis(shown(quantity), domain=[bottom, top])
    kind = {"tickformat": "~s"} if choice != _EPOCHS else {"dtick": _step(at)}
    if choice == _MACS:
        kind = _sizes(history.epochs)
    anchor = f"y{len(quantities)}"
    result.layout.xaxis = axis(_TITLES[choice], anchor=anchor, **kind)
    if choice != _MACS:
        _mark_changes(result, history.epochs, at)
    return result


def _places(
    history: GrowthHistory, epochs: Sequence[Epoch], choice: str
) -> list[float]:
    """Where epochs lie on the axis."""
    if choice == _MACS:
        return [epoch["macs"] for epoch in epochs]
    if choice == _EPOCHS:
        return [epoch["epoch"] for epoch in epochs]
    training = itertools.accumulate(epoch["compute"] for epoch in epochs)
    estimates = [0.0]
    for record in history.rounds:
        estimates.append(estimates[-1] + record.compute.get("estimating", 0.0))
    return [
        spent + estimates[min(epoch["round"], len(history.rounds))]
        for spent, epoch in zip(training, epochs, strict=True)
    ]


def _add(
    result: go.Figure,
    epochs: Sequence[Epoch],
    places: Sequence[float],
    choice: str,
    style: _Style,
    **axes: str,
) -> None:
    key, color = style.key, style.color
    have = [(x, epoch) for x, epoch in zip(places, epochs, strict=True) if key in epoch]
    by_macs = choice == _MACS
    if not have:
        return
    result.add_scatter(
        x=[x for x, _ in have],
        y=[epoch[key] for _, epoch in have],
        customdata=[[e["epoch"], format_count(e["macs"])] for _, e in have],
        mode="markers" if by_macs else "lines+markers",
        marker={"color": color, "size": 7, "opacity": 0.45 if by_macs else 1},
        line={"color": color, "width": 2},
        hovertemplate=f"{_told(key)} <b>%{{y:.4f}}</b><br>epoch %{{customdata[0]}}, "
        "%{customdata[1]} MACs<extra></extra>",
        name=style.name,
        legendgroup=style.name,
        showlegend=style.in_legend and not by_macs,
        **axes,
    )
    if by_macs:
        last = [
            here
            for here, after in itertools.zip_longest(have, have[1:])
            if after is None or after[1]["round"] != here[1]["round"]
        ]
        result.add_scatter(
            x=[x for x, _ in last],
            y=[epoch[key] for _, epoch in last],
            mode="lines+markers",
            marker={"color": color, "size": 9},
            line={"color": color, "width": 2},
            hoverinfo="skip",
            name=style.name,
            legendgroup=style.name,
            showlegend=style.in_legend,
            **axes,
        )


def _told(key: str) -> str:
    """A log's name in words."""
    of = key.removeprefix("val_")
    return shown(f"{'test' if key != of else 'training'} {of}")


def _sizes(epochs: Sequence[Epoch]) -> dict[str, Any]:
    """Marks at the sizes of the model, but for those too near to one before."""
    sizes = sorted({epoch["macs"] for epoch in epochs})
    apart = 0.18 * (sizes[-1] - sizes[0])
    kept = [sizes[-1]]
    for size in reversed(sizes[:-1]):
        if kept[-1] - size >= apart:
            kept.append(size)
    return {
        "tickvals": kept[::-1],
        "ticktext": [format_count(size) for size in kept[::-1]],
        "tickangle": 0,
    }


def _mark_changes(
    result: go.Figure, epochs: Sequence[Epoch], places: Sequence[float]
) -> None:
    """A dashed line between the last epoch of a size and the first of the next."""
    for (x, before), (after_x, after) in itertools.pairwise(
        zip(places, epochs, strict=True)
    ):
        if before["round"] != after["round"]:
            middle = (x + after_x) / 2
            line = {"color": MUTED, "width": 1, "dash": "dot"}
            result.add_shape(
                type="line", x0=middle, x1=middle, y0=0, y1=1, yref="paper", line=line
            )


def _step(places: Sequence[float]) -> int:
    """Epochs between marks: whole ones, and twelve marks at most."""
    span = max(places) - min(places)
    return next(
        step
        for digits in itertools.count()
        for step in (10**digits, 2 * 10**digits, 5 * 10**digits)
        if span / step <= 12
    )
