"""`write_report`: a job as one page."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tf_splitting.exporting.report import (
    changes,
    curve,
    family,
    gains,
    macs,
    summary,
    times,
    widths,
)
from tf_splitting.exporting.report.page import page
from tf_splitting.exporting.report.versions import versions
from tf_splitting.exporting.reporting import Curve
from tf_splitting.support import instance, write_text_atomically
from tf_splitting.support import path as as_path
from tf_splitting.training import GrowthHistory


def write_report(
    history: GrowthHistory,
    path: str | Path,
    *,
    title: str = "A job",
    command: str | None = None,
    facts: Mapping[str, str] | None = None,
    curves: Sequence[Curve] = (),
    quantity: str = "",
) -> None:
    """Writes what a job has done as a page for a browser, which needs no network.

    The curve against MACs, training compute and epochs; losses around every change;
    widths and MACs by layer; what a MAC bought, by space and round; where the time
    went; each with numbers where the mouse is. What the history does not hold, such as
    one that an older version wrote, the page says is missing.

    Args:
        history: of any job: `GrowthHistory.load("run/history.json")`.
        path: where the page appears, whole or not at all; 5 MB, most of it the
            plotting library.
        title: headline.
        command: that the job was started by.
        facts: what else the page is to say, by name.
        curves: of a family, as for `plot_family`.
        quantity: what their values are.

    Raises:
        SplittingError: `history` or `path` is something else.
        OSError: the disk does not take it.

    Example:
        >>> tf_splitting.exporting.write_report(history, "report.html")
    """
    expected = "a GrowthHistory"
    hint = "Read one with GrowthHistory.load(path)."
    instance("history", history, GrowthHistory, expected, hint)
    sections = [
        *([family.section(curves, quantity)] if curves else []),
        curve.section(history),
        changes.section(history),
        widths.section(history),
        macs.section(history),
        gains.section(history),
        times.section(history),
    ]
    text = page(
        title=title,
        notes=[note for note in (history.stopped, history.settled) if note],
        numbers=summary.numbers_of(history),
        sections=sections,
        rounds=summary.rounds_of(history),
        facts={
            **(facts or {}),
            "Written": time.strftime("%Y-%m-%d %H:%M"),
            **versions(),
        },
        command=command,
    )
    write_text_atomically(as_path("path", path), text)
