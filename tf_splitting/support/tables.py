"""Tables of plain text."""

from __future__ import annotations

from collections.abc import Sequence


def format_table(rows: Sequence[tuple[str, ...]], longest: int = 60) -> str:
    """Rows of text under their first, in aligned columns; over-long cells are cut."""
    cut = [
        tuple(c if len(c) <= longest else c[: longest - 3] + "..." for c in row)
        for row in rows
    ]
    columns = [max(len(cell) for cell in column) for column in zip(*cut, strict=True)]
    lines = [
        "  ".join(cell.ljust(n) for cell, n in zip(row, columns, strict=True)).rstrip()
        for row in cut
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
