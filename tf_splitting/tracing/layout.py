"""How the channels of spaces lie along one axis of a tensor or weight.

An axis is a row of blocks, each block the channels of one space, every channel
`repeat` times in a row:

    Conv2D output             [A]
    Concatenate of A and B    [A, B]
    Flatten of 2x2 positions  [A, A, A, A]
    depth multiplier of 3     [A, repeat=3]

Growing a space means gathering every axis it lies on; this file turns a per-space
gather into the gather of an axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np


class Block(NamedTuple):
    """The channels of one space on an axis, each `repeat` times in a row."""

    space: str
    repeat: int = 1


Layout = tuple[Block, ...]


def size(layout: Layout, widths: Mapping[str, int]) -> int:
    """Length of an axis when the spaces have these widths."""
    return sum(widths[block.space] * block.repeat for block in layout)


def spread(layout: Layout, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Per-neuron values `[width]` of each space, laid out along the axis `[size]`."""
    return np.concatenate(
        [np.repeat(values[block.space], block.repeat) for block in layout]
    )


def along(
    layout: Layout, values: Mapping[str, np.ndarray], ndim: int, axis: int
) -> np.ndarray:
    """Per-neuron values of an axis, ready to multiply an array of `ndim` axes with."""
    shape = [1] * ndim
    shape[axis] = -1
    return spread(layout, values).reshape(shape)


def blocks(
    layout: Layout, widths: Mapping[str, int]
) -> Iterator[tuple[str, np.ndarray]]:
    """Every block: its space, and where its channels lie, `[width, repeat]`."""
    start = 0
    for space, repeat in layout:
        length = widths[space] * repeat
        yield space, np.arange(start, start + length).reshape(-1, repeat)
        start += length


def sources(
    layout: Layout, widths: Mapping[str, int], gathers: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Old position of every new position of an axis.

    Args:
        layout: the axis.
        widths: width of each space before growing.
        gathers: for each space the old neuron of each new one, `[new width]`.

    Returns:
        `[new size]` integers, ready for `np.take` along the axis.
    """
    parts = [rows[gathers[space]].ravel() for space, rows in blocks(layout, widths)]
    return np.concatenate(parts)


def positions(layout: Layout, widths: Mapping[str, int], space: str) -> np.ndarray:
    """Where the channels of one space lie on an axis, in order."""
    parts = [rows.ravel() for each, rows in blocks(layout, widths) if each == space]
    return np.concatenate(parts) if parts else np.arange(0)


def at(ndim: int, axis: int, where: np.ndarray) -> tuple[Any, ...]:
    """Index of some positions along one axis of an array with `ndim` axes."""
    index: list[Any] = [slice(None)] * ndim
    index[axis] = where
    return tuple(index)
