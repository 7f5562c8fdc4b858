"""Tables of arms: means and standard errors, differences paired by seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from fair.arms import Arm, Results, Run

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
