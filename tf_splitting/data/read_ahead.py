"""Prepares the next batches in threads while the present one is used."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any

# Batches that are prepared at a time, by a thread each.
AHEAD = 2


class ReadAhead:
    """Items by index, of which those after the one asked for are on their way.

    Threads decide when an item is made, never which: item k is what `make(k)` returns,
    whoever asks, in any order and as often as they like. Nothing is made ahead for who
    does not read in order. Keras has workers for this, but they hand what is left over
    when an iteration is broken off to the next one, as its first batches.
    """

    def __init__(self, make: Callable[[int], Any], length: int) -> None:
        """Takes a function of the index that may run in several threads at once."""
        self._make = make
        self._length = length
        self._coming: dict[int, Future[Any]] = {}
        self._last = -1
        self._threads: ThreadPoolExecutor | None = None
        self._lock = Lock()

    def __getitem__(self, index: int) -> Any:
        with self._lock:
            ready = self._coming.get(index)
            in_order = index in (0, self._last + 1)
            self._last = index
            after = range(index + 1, min(index + 1 + AHEAD, self._length))
            self._coming = {
                k: self._coming.get(k) or self._start(k) for k in after if in_order
            }
        return self._make(index) if ready is None else ready.result()

    def _start(self, index: int) -> Future[Any]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(AHEAD, "read-ahead")
        return self._threads.submit(self._make, index)
