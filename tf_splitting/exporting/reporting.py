"""What a job looked like: a picture and tables, from plain data."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_splitting.support import appearing, format_count, format_table
from tf_splitting.training import OF_EPOCHS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TRAIN, _VALIDATION, _GREY = "#8fb8de", "#0b4f8a", "#8a8a8a"


def width_table(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """A table of layers with their widths before and after growing.

    Args:
        before, after: layer path to output width, as `ChannelGraph.layer_widths()`.

    Example:
        >>> print(width_table({"conv1": 8}, {"conv1": 12}))
        layer  seed  grown  growth
        --------------------------
        conv1     8     12   x1.50
    """
    rows = [("layer", "seed", "grown", "growth")]
    for layer, width in before.items():
        growth = after[layer] / width
        rows.append((layer, str(width), str(after[layer]), f"x{growth:.2f}"))
    numbers = [max(len(row[column]) for row in rows) for column in (1, 2, 3)]
    return format_table(
        [
            (row[0], *(c.rjust(n) for c, n in zip(row[1:], numbers, strict=True)))
            for row in rows
        ]
    )


def metric_name(epochs: Sequence[Mapping[str, Any]]) -> str | None:
    """The metric to show: accuracy if there is one, else the first; None without."""
    names = [
        name
        for name in (epochs[0] if epochs else ())
        if name not in OF_EPOCHS and name != "loss" and not name.startswith("val_")
    ]
    near = [name for name in names if "acc" in name]
    return next(iter(near + names), None)


def plot_growth(
    epochs: Sequence[Mapping[str, Any]], path: str | Path, *, title: str = ""
) -> None:
    """Draws metric and loss against MACs and against epochs, as a PNG file.

    Against MACs every epoch is a dot, and lines join the last epochs of the phases
    between splits; against epochs, dashed lines mark the splits.

    Args:
        epochs: `GrowthHistory.epochs`, at least one.
        path: where the picture appears, whole or not at all.
        title: headline.

    Example:
        >>> plot_growth(history.epochs, "growth.png", title="MobileNetV2")
    """
    metric = metric_name(epochs)
    quantities = [metric, "loss"] if metric else ["loss"]
    figure = _figure(11, 1.2 + 3.4 * len(quantities))
    rows = figure.subplots(
        len(quantities), 2, sharey="row", sharex="col", squeeze=False
    )
    for (by_macs, by_epoch), quantity in zip(rows, quantities, strict=True):
        _draw_by_macs(by_macs, epochs, quantity)
        _draw_by_epoch(by_epoch, epochs, quantity)
        by_macs.set_ylabel(quantity)
        for axes in (by_macs, by_epoch):
            _decorate(axes)
    sizes = [epoch["macs"] for epoch in epochs]
    _label_macs(rows[-1][0], sizes, sizes)
    _label_splits(rows[0][1], epochs)
    rows[-1][1].set_xlabel("epoch")
    rows[-1][1].xaxis.get_major_locator().set_params(integer=True)
    handles, labels = rows[0][0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper right", ncols=len(labels), frameon=False
    )
    _save(figure, path, title)


class Curve(NamedTuple):
    """Models that belong together, the smallest first.

    Attributes:
        label: what they are.
        macs: of each.
        values: what is drawn over them.
    """

    label: str
    macs: Sequence[float]
    values: Sequence[float]


def plot_family(
    curves: Sequence[Curve], path: str | Path, *, quantity: str, title: str = ""
) -> None:
    """Draws models of several sizes by their MACs, as a PNG file.

    Args:
        curves: the first stands out, and the MACs of its models are written out; one
            model alone is a ring.
        path: where the picture appears, whole or not at all.
        quantity: what the curves' values are.
        title: headline.

    Example:
        >>> members = Curve("grown", [1e8, 2e8], [0.61, 0.66])
        >>> plot_family([members], "family.png", quantity="test accuracy")
    """
    figure = _figure(7.5, 4.6)
    axes = figure.subplots()
    axes.set_xscale("log")
    for curve, colour in zip(curves, itertools.cycle([_VALIDATION, _GREY, _TRAIN])):
        alone = len(curve.macs) == 1
        axes.plot(
            curve.macs,
            curve.values,
            "o" if alone else "o-",
            color=colour,
            label=curve.label,
            linewidth=2,
            markersize=8 if alone else 6,
            markerfacecolor="white" if alone else colour,
            zorder=3 if curve is curves[0] else 2,
        )
    _decorate(axes)
    axes.set_ylabel(quantity)
    every = [macs for curve in curves for macs in curve.macs]
    named = [*curves[0].macs, *(c.macs[0] for c in curves if len(c.macs) == 1)]
    _label_macs(axes, named, every)
    axes.legend(frameon=False)
    _save(figure, path, title)


def _curves(
    epochs: Sequence[Mapping[str, Any]], quantity: str
) -> list[tuple[str, str, list[Mapping[str, Any]], str]]:
    """`(key, label, epochs that have it, colour)` of the curves of a panel."""
    curves = [(quantity, "training", _TRAIN), (f"val_{quantity}", "test", _VALIDATION)]
    return [
        (key, label, [e for e in epochs if key in e], colour)
        for key, label, colour in curves
        if any(key in e for e in epochs)
    ]


def _draw_by_macs(
    axes: Axes, epochs: Sequence[Mapping[str, Any]], quantity: str
) -> None:
    axes.set_xscale("log")
    for key, label, there, colour in _curves(epochs, quantity):
        macs = [e["macs"] for e in there]
        values = [e[key] for e in there]
        axes.scatter(macs, values, s=18, color=colour, alpha=0.35, linewidths=0)
        last = list({e["macs"]: e for e in there}.values())
        axes.plot(
            [e["macs"] for e in last],
            [e[key] for e in last],
            "o-",
            color=colour,
            label=label,
            linewidth=2,
            markersize=6,
        )


def _draw_by_epoch(
    axes: Axes, epochs: Sequence[Mapping[str, Any]], quantity: str
) -> None:
    # Dots tell epochs apart in short jobs and would hide the line of long ones.
    marker = "o" if len(epochs) <= 40 else ""
    for key, _, there, colour in _curves(epochs, quantity):
        axes.plot(
            [e["epoch"] for e in there],
            [e[key] for e in there],
            color=colour,
            linewidth=2,
            marker=marker,
            markersize=4,
        )
    for epoch, _ in _splits(epochs):
        axes.axvline(epoch, color=_GREY, linestyle=(0, (4, 3)), linewidth=1, zorder=0)


def _splits(epochs: Sequence[Mapping[str, Any]]) -> list[tuple[float, int]]:
    """`(between which epochs, MACs from there on)` of every split."""
    return [
        ((a["epoch"] + b["epoch"]) / 2, b["macs"])
        for a, b in itertools.pairwise(epochs)
        if a["macs"] != b["macs"]
    ]


def _label_splits(axes: Axes, epochs: Sequence[Mapping[str, Any]]) -> None:
    for epoch, macs in _splits(epochs):
        axes.annotate(
            f"{format_count(macs)} MACs",
            (epoch, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, 3),
            textcoords="offset points",
            fontsize=9,
            color=_GREY,
        )


def _label_macs(axes: Axes, named: Sequence[float], every: Sequence[float]) -> None:
    """Ticks at some sizes, where a log axis has none to spare.

    Args:
        axes: to label.
        named: MACs that get a tick.
        every: MACs that are to be seen.
    """
    from matplotlib.ticker import NullLocator

    ticks = sorted({*named})
    axes.set_xticks(ticks, [format_count(macs) for macs in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(min(every) / 1.25, max(every) * 1.25)
    axes.set_xlabel("multiply-accumulates per example (log scale)")


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: str | Path, title: str) -> None:
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    with appearing(path) as temporary:
        figure.savefig(temporary, dpi=150)


def _decorate(axes: Axes) -> None:
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
