"""Batches of several data sets, one behind the other, as `fit` takes them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import keras


def joined(parts: Sequence[Any], lengths: Sequence[int], count: int) -> Any:
    """The first `count` batches of all parts.

    Args:
        parts: of one kind: `tf.data`, PyDatasets with a length, or what iterates.
        lengths: batches in each.
        count: no more than there are.
    """
    if all(isinstance(part, keras.utils.PyDataset) for part in parts):
        return _Joined(parts, lengths, count)
    if all(hasattr(part, "concatenate") for part in parts):
        whole = parts[0]
        for part in parts[1:]:
            whole = whole.concatenate(part)
        return whole.take(count)
    return _first(itertools.chain.from_iterable(parts), count)


def _first(batches: Iterable[Any], count: int) -> Iterable[Any]:
    # Keras knows generators, but not other iterators.
    yield from itertools.islice(batches, count)


class _Joined(keras.utils.PyDataset):
    def __init__(
        self,
        parts: Sequence[keras.utils.PyDataset],
        lengths: Sequence[int],
        count: int,
    ) -> None:
        first = parts[0]
        super().__init__(first.workers, first.use_multiprocessing, first.max_queue_size)
        self._parts = parts
        self._ends = list(itertools.accumulate(lengths))
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < self._count:
            raise IndexError(f"Got batch {index}; expected one of {self._count}.")
        number = next(k for k, end in enumerate(self._ends) if index < end)
        return self._parts[number][index - (self._ends[number - 1] if number else 0)]
