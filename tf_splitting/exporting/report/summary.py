"""What the report says first: the job in numbers, and its rounds as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tf_splitting.exporting.reporting import metric_name
from tf_splitting.support import format_count, format_seconds
from tf_splitting.training import GrowthHistory


def numbers_of(history: GrowthHistory) -> list[tuple[str, str, str]]:
    """Label, value and a remark of what matters most; the last may be empty."""
    numbers = []
    seed, rounds, epochs = history.seed, history.rounds, history.epochs
    last = rounds[-1] if rounds else seed
    if last is not None:
        for label in ("macs", "params"):
            now, before = getattr(last, label), seed and getattr(seed, label)
            remark = f"from {format_count(before)}" if before and rounds else ""
            name = {"macs": "MACs", "params": "Parameters"}[label]
            numbers.append((name, format_count(now), remark))
    metric = metric_name(epochs) or "loss"
    key = f"val_{metric}"
    measured = [epoch for epoch in epochs if key in epoch]
    if measured:
        before = [epoch for epoch in measured if epoch["round"] == 0]
        remark = f"from {before[-1][key]:.3g}" if before and rounds else ""
        numbers.append((f"Test {metric}", f"{measured[-1][key]:.3g}", remark))
    added = sum(record.added for record in rounds)
    removed = sum(record.removed for record in rounds)
    if rounds:
        change = f"+{added}" * bool(added) + f" \N{MINUS SIGN}{removed}" * bool(removed)
        number = f"in {len(rounds)} round{'s' if len(rounds) > 1 else ''}"
        numbers.append(("Neurons", change.strip(), number))
    if history.compute:
        numbers.append(
            ("Training compute", format_count(history.compute), "MACs × images")
        )
    if epochs:
        spent = format_seconds(history.seconds)
        numbers.append(("Time", spent, f"{len(epochs)} epochs"))
    return numbers


def rounds_of(history: GrowthHistory) -> list[Sequence[str]]:
    """Rows of a table of rounds, under their headings."""
    rows: list[Sequence[str]] = [
        ("Round", "Neurons", "MACs", "Params", "Loss before", "after", "Predicted gain")
    ]
    for record in history.rounds:
        gain = record.predicted_gain
        changes = [f"+{record.added}"] * bool(record.added)
        changes += [f"\N{MINUS SIGN}{record.removed}"] * bool(record.removed)
        rows.append(
            (
                f"{record.round} ({record.kind})",
                " ".join(changes),
                format_count(record.macs),
                format_count(record.params),
                _loss(record.before),
                _loss(record.after),
                "" if gain is None else f"{gain:.3g}",
            )
        )
    return rows


def _loss(metrics: Mapping[str, float]) -> str:
    return f"{metrics['loss']:.4f}" if "loss" in metrics else ""
