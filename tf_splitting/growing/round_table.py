"""What a round did, as text."""

from __future__ import annotations

from tf_splitting.support import format_count, format_seconds, format_table, styled
from tf_splitting.training import RoundRecord


def changes_in(record: RoundRecord) -> str:
    """How many neurons came and went."""
    came = [f"+{record.added}"] * bool(record.added)
    went = [f"-{record.removed}"] * bool(record.removed)
    return f"{' '.join([*came, *went])} neurons"


def round_table(record: RoundRecord, rounds: int) -> str:
    """A round's table: cost, loss and metrics before and after, time."""
    kind = record.kind
    rows = [(f"round {record.round}/{rounds}", f"before {kind}", f"after {kind}")]
    rows += [
        (name, f"{record.before[name]:.4f}", f"{record.after[name]:.4f}")
        for name in record.before
    ]
    spent = ", ".join(f"{k} {format_seconds(v)}" for k, v in record.seconds.items())
    measured = (
        f" measured on {record.examples} examples"
        if record.examples is not None
        else ""
    )
    step = "" if record.epsilon is None else f", epsilon {record.epsilon}"
    head, *body = format_table(rows).splitlines()
    return "\n".join(
        [
            styled(head, "bold"),
            *body,
            f"{changes_in(record)}{measured}{step}",
            f"{format_count(record.macs)} MACs, {format_count(record.params)} params",
            styled(spent, "dim"),
        ]
    )
