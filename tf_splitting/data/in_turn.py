"""Batches that come one after the other, asked for by index as Keras does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

import keras

# Keras looks at the first batches before it reads from the start.
_LOOKED_AT = 2


class InTurn(keras.utils.PyDataset):
    """What an iterator yields, by index; read once if indices are asked for in order.

    An index before the last one opens the iterator anew, but for the first ones.
    """

    def __init__(self, open: Callable[[], Iterator[Any]], length: int) -> None:
        """Takes what makes the iterator, and how many batches that yields."""
        super().__init__()
        self._open = open
        self._length = length
        self._batches: Iterator[Any] = iter(())
        self._next = length
        self._first: dict[int, Any] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < self._length:
            raise IndexError(f"Got batch {index}; expected one of {self._length}.")
        with self._lock:
            if index in self._first:
                return self._first[index]
            if index < self._next:
                self._batches, self._next = self._open(), 0
            while True:
                batch = next(self._batches)
                if self._next < _LOOKED_AT:
                    self._first[self._next] = batch
                self._next += 1
                if self._next > index:
                    return batch
