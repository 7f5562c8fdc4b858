"""Batches of one epoch, and of one epoch after the other, as Keras and loops take them.

Both know nothing about images. What epoch and index a batch has is all it depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

import keras


class Epoch(keras.utils.PyDataset):
    """The batches of one epoch: the same in every iteration, and by index."""

    def __init__(self, make: Callable[[int], Any], length: int) -> None:
        """Takes a function from the index to the batch, and how many there are."""
        super().__init__()
        self._make = make
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Any:
        return self._make(_within(index, self._length))


class Epochs(keras.utils.PyDataset):
    """Batches whose k-th iteration is that of epoch `first + k`.

    A loop takes its epoch when it begins. Keras asks by index, in an order of its own
    where `fit` shuffles, and says when it stops: after an epoch, after some steps of
    one, after a look at a batch to build metrics by. So, by index, an epoch is over
    when all its batches have been asked for, at one go or in pieces; until then, what
    is asked for is of the same one. A look cannot be told from an epoch of one batch:
    `begin` settles that.
    """

    def __init__(self, epoch: Callable[[int], Any], steps: int, first: int = 0) -> None:
        """Takes a function from the number of an epoch to its `steps` batches."""
        super().__init__()
        self._epoch = epoch
        self._steps = steps
        self._next = first
        self._number: int | None = None
        self._open: Any = None
        # What of the open epoch was asked for since Keras last stopped, and before.
        self._asked: set[int] = set()
        self._before: set[int] = set()
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"<Epochs of {self._steps} batches, epoch {self._next} next>"

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[Any]:
        with self._lock:
            number = self._next
            self._next += 1
        batches = self._epoch(number)
        return (batches[index] for index in range(self._steps))

    def __getitem__(self, index: int) -> Any:
        _within(index, self._steps)
        with self._lock:
            if self._number is None or len(self._asked) == self._steps:
                self._turn_to(self._next)
            self._asked.add(index)
            batches = self._open
        return batches[index]

    def on_epoch_end(self) -> None:
        with self._lock:
            again = self._asked & self._before
            self._before = self._asked if again else self._asked | self._before
            self._asked = set()
            if len(self._before) == self._steps:
                self._number = None

    def begin(self, number: int) -> None:
        """Epoch `number`, from its start, is what is asked for next by index."""
        with self._lock:
            if number != self._number:
                self._turn_to(number)
            self._asked, self._before = set(), set()

    def _turn_to(self, number: int) -> None:
        self._open = self._epoch(number)
        self._number = number
        self._next = number + 1
        self._asked, self._before = set(), set()


def _within(index: int, length: int) -> int:
    if not 0 <= index < length:
        raise IndexError(f"Got batch {index}; expected one of {length}.")
    return index
