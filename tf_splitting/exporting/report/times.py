"""What the time went into."""

from __future__ import annotations

from plotly import graph_objects as go

from tf_splitting.exporting.report.colours import BLUE, GREEN, PURPLE, VERMILLION
from tf_splitting.exporting.report.drawing import AROUND, add_bars, axis, figure, rows
from tf_splitting.exporting.report.section import OLD, Section
from tf_splitting.support import format_count, format_seconds
from tf_splitting.training import GrowthHistory

_COLOURS = {
    "training": BLUE,
    "measuring": VERMILLION,
    "estimating": GREEN,
    "rebuilding": PURPLE,
}
# Pixels of a bar.
_BAR = 34


def section(history: GrowthHistory) -> Section:
    """A bar for every round, and one for the training after the last."""
    about = (
        "Seconds of every round, up to its change of widths. Measuring is validation "
        "after every epoch, and losses around the change; an epoch that comes first "
        "compiles the model, too."
    )
    if not history.epochs and not history.rounds:
        missing = ["Nothing has been done."]
        return Section("times", "Where the time went", about, missing=missing)
    missing = []
    if not all("measuring" in epoch for epoch in history.epochs):
        missing.append(OLD.format("what measuring took, which counts as training"))
    figures = {"": _drawn(seconds_of(history))}
    return Section("times", "Where the time went", about, figures, missing)


def seconds_of(history: GrowthHistory) -> dict[str, dict[str, float]]:
    """Seconds by phase, and by what they went into."""
    phases: dict[str, dict[str, float]] = {}
    for number in range(len(history.rounds) + 1):
        epochs = [epoch for epoch in history.epochs if epoch["round"] == number]
        measuring = sum(epoch.get("measuring", 0.0) for epoch in epochs)
        training = sum(epoch["seconds"] for epoch in epochs) - measuring
        spent = {"training": training, "measuring": measuring}
        if number < len(history.rounds):
            own = history.rounds[number].seconds
            spent["measuring"] += own.get("measuring", 0.0)
            spent |= {part: own[part] for part in ("estimating", "rebuilding")}
            phases[f"round {number + 1}"] = spent
        elif epochs:
            phases["at the end" if history.rounds else "training"] = spent
    for member in history.members:
        if member.epochs:
            measuring = sum(epoch.get("measuring", 0.0) for epoch in member.epochs)
            training = sum(epoch["seconds"] for epoch in member.epochs) - measuring
            spent = {"training": training, "measuring": measuring}
            for part in ("estimating", "rebuilding", "measuring"):
                more = sum(record.seconds.get(part, 0.0) for record in member.rounds)
                spent[part] = spent.get(part, 0.0) + more
            phases[f"member of {format_count(member.target_macs)} MACs"] = spent
    return phases


def _drawn(phases: dict[str, dict[str, float]]) -> go.Figure:
    result = figure(AROUND + _BAR * len(phases), barmode="stack", bargap=0.3)
    for part, colour in _COLOURS.items():
        seconds = [spent.get(part, 0.0) for spent in phases.values()]
        told = [
            f"{phase}, {part}<br><b>{format_seconds(each)}</b> of "
            f"{format_seconds(sum(spent.values()))}"
            for (phase, spent), each in zip(phases.items(), seconds, strict=True)
        ]
        add_bars(result, part, colour, seconds, told)
    result.layout.xaxis = axis("seconds")
    result.layout.yaxis = rows(list(phases))
    return result
