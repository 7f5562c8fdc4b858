"""Losses around every change of widths, and what was predicted."""

from __future__ import annotations

from plotly import graph_objects as go

from tf_splitting.exporting.report.colours import BLUE, GREEN, MUTED, QUIET
from tf_splitting.exporting.report.drawing import axis, figure, shown
from tf_splitting.exporting.report.section import NO_CHANGE, OLD, Section
from tf_splitting.training import GrowthHistory, RoundRecord

# Rounds that one mark lies beside another.
_BESIDE = 0.22


def section(history: GrowthHistory) -> Section:
    """Before, after, and before less the predicted gain."""
    title = "Losses around every change"
    about = (
        "Loss on the estimation sample, in inference mode, right before and after "
        "neurons were added or removed, before any training. The prediction is what "
        "the scores of the neurons add up to. Fresh neurons change nothing at first: "
        "their gain comes with the training that follows."
    )
    if not history.rounds:
        return Section("changes", title, about, missing=[NO_CHANGE])
    rounds = [record for record in history.rounds if "loss" in record.before]
    if not rounds:
        missing = [OLD.format("losses around changes")]
        return Section("changes", title, about, missing=missing)
    unknown = [record.round for record in rounds if record.predicted_gain is None]
    missing = []
    if unknown:
        which = ", ".join(map(str, unknown))
        missing.append(f"Nothing was predicted in round {which}.")
    return Section("changes", title, about, {"": _drawn(rounds)}, missing)


def _drawn(rounds: list[RoundRecord]) -> go.Figure:
    result = figure(330, hovermode="closest")
    at = [record.round for record in rounds]
    before = [record.before["loss"] for record in rounds]
    after = [record.after["loss"] for record in rounds]
    predicted = [
        None if r.predicted_gain is None else r.before["loss"] - r.predicted_gain
        for r in rounds
    ]
    for x, start, end in zip(at, before, after, strict=True):
        result.add_shape(
            type="line",
            x0=x - _BESIDE,
            x1=x + _BESIDE,
            y0=start,
            y1=end,
            line={"color": QUIET, "width": 1.5},
            layer="below",
        )
    for name, values, place, symbol, colour, said in (
        ("before", before, -_BESIDE, "circle-open", MUTED, [r.before for r in rounds]),
        ("predicted", predicted, 0, "diamond-open", GREEN, [_gain(r) for r in rounds]),
        ("after", after, _BESIDE, "circle", BLUE, [r.after for r in rounds]),
    ):
        result.add_scatter(
            x=[x + place for x in at],
            y=values,
            name=name,
            mode="markers",
            marker={"symbol": symbol, "color": colour, "size": 11, "line_width": 2},
            text=[
                f"round {record.round}, {name}<br>{_words(metrics)}"
                for record, metrics in zip(rounds, said, strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    result.layout.xaxis = axis(
        "round",
        tickvals=at,
        ticktext=[f"{r.round}<br>{_change(r)}" for r in rounds],
        range=[at[0] - 0.6, at[-1] + 0.6],
        showgrid=False,
    )
    result.layout.yaxis = axis("loss")
    return result


def _words(metrics: dict[str, float]) -> str:
    return "<br>".join(f"{shown(n)} <b>{v:.4g}</b>" for n, v in metrics.items())


def _gain(record: RoundRecord) -> dict[str, float]:
    if record.predicted_gain is None:
        return {}
    gain = record.predicted_gain
    return {"loss": record.before["loss"] - gain, "gain": gain}


def _change(record: RoundRecord) -> str:
    """What a round has done, in signs."""
    more = f"+{record.added}" if record.added else ""
    less = f"\N{MINUS SIGN}{record.removed}" if record.removed else ""
    return " ".join(filter(None, (more, less)))
