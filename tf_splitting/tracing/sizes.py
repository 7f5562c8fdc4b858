"""Numbers of things along axes, some of which may not be known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def count_positions(shape: tuple[int | None, ...], channel_axis: int) -> int | None:
    """Number of positions per example in a tensor, or None where it is not known."""
    axis = channel_axis % len(shape)
    return product(n for i, n in enumerate(shape) if i not in (0, axis))


def product(lengths: Iterable[int | None]) -> int | None:
    """Product of lengths, or None if one of them is not known."""
    total = 1
    for length in lengths:
        if length is None:
            return None
        total *= length
    return total


def rows_behind(
    rows: int, before: Sequence[int | None], after: Sequence[int | None]
) -> int | None:
    """Entries of an example along the axis of the batch behind a reshaping.

    Args:
        rows: in front of it.
        before, after: shapes in front of it and behind.

    Returns:
        How many, or None if that is not known, or the reshaping mixes examples.
    """
    numbers, each = product((rows, *before[1:])), product(after[1:])
    if numbers is None or not each or numbers % each:
        return None
    return numbers // each
