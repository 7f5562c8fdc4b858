"""Tables of arms: means and standard errors, differences paired by seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

import numpy as np
from fair.arms import Arm, Results, Run
from fair.worth import Worth, centred

HEAD = (
    "run",
    "seeds",
    "rate",
    "test accuracy, %",
    "less the first",
    "test loss",
    "less the first",
    "compute, T",
    "seconds",
    "MACs",
    "widths of the first seed",
)


def table(arms: Sequence[Arm], results: Results) -> list[tuple[str, ...]]:
    """A row for each arm that has runs; differences are to the first arm's."""
    rows = [HEAD]
    first = {run["spec"]["seed"]: run for run in arms[0].measured(results)}
    for arm in arms:
        runs = arm.measured(results)
        if not runs:
            continue
        pairs = [
            (run, first[run["spec"]["seed"]])
            for run in runs
            if arm is not arms[0] and run["spec"]["seed"] in first
        ]
        rows.append(
            (
                arm.name,
                str(len(runs)),
                f"{runs[0]['spec']['rate']:g}",
                _with_error([_accuracy(run) for run in runs], 2),
                _with_error([_accuracy(a) - _accuracy(b) for a, b in pairs], 2),
                _with_error([_loss(run) for run in runs], 3),
                _with_error([_loss(a) - _loss(b) for a, b in pairs], 3),
                f"{_mean(runs, lambda run: run['compute']) / 1e12:.3f}",
                f"{_mean(runs, lambda run: run['seconds']):.0f}",
                f"{_mean(runs, lambda run: run['macs']) / 1e6:.2f} M",
                " ".join(map(str, runs[0]["widths"])),
            )
        )
    return rows


def compute_alone(arms: Sequence[Arm], results: Results) -> str | None:
    """What a family's member would cost alone, at its accuracy; None of other studies.

    In units of its own compute, read off between the arms that are scaled: accuracy is
    taken as linear in the logarithm of the compute.
    """
    members, alone = (
        [
            (_mean(runs, lambda run: run["compute"]), _mean(runs, _accuracy))
            for arm in arms
            if (arm.member is None) == scaled and (runs := arm.measured(results))
        ]
        for scaled in (False, True)
    )
    if not members or not alone:
        return None
    ((compute, accuracy),) = members
    spent, reached = zip(*sorted(alone), strict=True)
    times = [each / compute for each in spent]
    if accuracy > reached[-1]:
        return f"alone it would take more than {times[-1]:.1f} times the compute"
    found = np.exp(np.interp(accuracy, reached, np.log(times)))
    return f"alone it would take {found:.2f} times the compute"


def worth_table(
    redistributions: Sequence[Arm], finders: Sequence[Arm], results: Results
) -> list[tuple[str, ...]]:
    """What each layer's width is worth at a seed's proportions, and who widens it.

    Rows are layers. Columns: the fall of the held-out loss for a width e times as
    large at equal MACs, by the fit, at the mean of the redistributions, which is the
    seed's shape; the logarithm of the width that is best by the fit; and by arm the
    logarithm of the width found, both less those of the mean, their mean over the
    layers taken out. Below them: the correlation with the first column, and the loss
    that the fit expects.
    """
    runs = [run for arm in redistributions for run in arm.measured(results)]
    if len(runs) < len(redistributions):
        return [("runs there", "needed"), (str(len(runs)), str(len(redistributions)))]
    widths = [run["widths"] for run in runs]
    fit = Worth.fitted(widths, [run["held_out"]["loss"] for run in runs])
    usual = np.exp(fit.centre)
    slopes = fit.slopes(usual)
    columns = [("best", fit.best())]
    for arm in finders:
        if found := [run["widths"] for run in arm.measured(results)]:
            columns.append((arm.name, np.exp(np.log(found).mean(0))))
    changes = [centred(np.log(width) - fit.centre) for _, width in columns]
    rows = [("layer", "mean width", "worth", *(name for name, _ in columns))]
    for layer, (slope, error) in enumerate(slopes):
        own = (f"{change[layer]:+.2f}" for change in changes)
        rows.append(
            (str(layer), f"{usual[layer]:.0f}", f"{slope:+.3f} ± {error:.3f}", *own)
        )
    values = [slope for slope, _ in slopes]
    agreement = (f"{np.corrcoef(values, change)[0, 1]:.2f}" for change in changes)
    rows.append(("correlation", "", "", *agreement))
    losses = [
        "{:.3f} ± {:.3f}".format(*fit.loss(w)) for _, w in [("", usual), *columns]
    ]
    rows.append(("loss expected", losses[0], "", *losses[1:]))
    told = f"noise {fit.noise:.3f}, explained {fit.explained:.0%}"
    rows.append((told, *[""] * (len(rows[0]) - 1)))
    return rows


def _accuracy(run: Run) -> float:
    return 100 * run["test"]["accuracy"]


def _loss(run: Run) -> float:
    return run["test"]["loss"]


def _mean(runs: Sequence[Run], value: Callable[[Run], float]) -> float:
    return statistics.mean(value(run) for run in runs)


def _with_error(values: Sequence[float], digits: int) -> str:
    """Mean and its standard error, as text."""
    if not values:
        return "-"
    mean = f"{statistics.mean(values):.{digits}f}"
    if len(values) < 2:
        return mean
    error = statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean} ± {error:.{digits}f}"
