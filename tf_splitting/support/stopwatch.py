"""Seconds of what happens now and then."""

from __future__ import annotations

import time


class Stopwatch:
    """Adds up the seconds between its starts and stops.

    Example:
        >>> watch = Stopwatch()
        >>> with watch:
        ...     measure(model)
        >>> watch.reset()
        0.21
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._start = 0.0

    def start(self) -> None:
        """Runs from now on."""
        self._start = time.perf_counter()

    def stop(self) -> None:
        """Stands still from now on."""
        self._seconds += time.perf_counter() - self._start

    def reset(self) -> float:
        """What has been added up; begins at zero again."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
