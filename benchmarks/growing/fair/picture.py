"""Accuracy against training compute, scaled and grown: one picture."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from fair.arms import Arm, Results, Run

from tf_splitting.support import appearing

COLOURS = ("#8a8a8a", "#0b4f8a", "#d1603d")
# Of the lines' names, in points: the second and the third end close to each other.
OFFSETS = (0, -7, 7)


def draw(
    panels: Sequence[tuple[str, Sequence[tuple[str, Sequence[Arm]]]]],
    results: Results,
    path: Path,
) -> None:
    """Draws one panel for each question, one line for each way to train.

    Args:
        panels: title, and by name of the line its arms, one for each budget.
        results: the runs.
        path: of the PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(panels), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (title, lines) in zip(axes, panels, strict=True):
        for (name, arms), colour, offset in zip(lines, COLOURS, OFFSETS, strict=False):
            points = [_point(arm.measured(results)) for arm in arms]
            there = sorted(point for point in points if point is not None)
            if not there:
                continue
            compute, accuracy, error = zip(*there, strict=True)
            axis.errorbar(
                compute, accuracy, error, color=colour, marker="o", ms=4, capsize=2
            )
            axis.annotate(
                name,
                (compute[-1], accuracy[-1]),
                xytext=(6, offset),
                textcoords="offset points",
                va="center",
                color=colour,
                fontsize=9,
            )
        axis.set_title(title, loc="left", fontsize=10, fontweight="bold")
        axis.set_xlabel("training compute, T MACs x images")
        # Room for the names of the lines.
        axis.set_xlim(0, 1.5 * axis.dataLim.x1)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("test accuracy, %")
    with appearing(path) as temporary:
        figure.savefig(temporary, dpi=150)


def _point(runs: Sequence[Run]) -> tuple[float, float, float] | None:
    """Compute, mean accuracy and its standard error."""
    if not runs:
        return None
    accuracies = [100 * run["test"]["accuracy"] for run in runs]
    error = 0.0
    if len(runs) > 1:
        error = statistics.stdev(accuracies) / math.sqrt(len(runs))
    compute = statistics.mean(run["compute"] for run in runs) / 1e12
    return compute, statistics.mean(accuracies), error
