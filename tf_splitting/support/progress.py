"""One-line progress on the terminal."""

from __future__ import annotations

import sys
import time


class Bar:
    """A progress line that rewrites itself; silent when not verbose.

    Where the output is not a terminal only the finished line is printed.
    """

    def __init__(
        self, label: str, *, total: int = 0, per_pass: int = 0, verbose: int = 1
    ) -> None:
        self.total = total
        self._per_pass = per_pass
        self._label = label
        self._verbose = verbose
        self._done = 0
        self._start = time.perf_counter()
        self._shown = 0.0

    @property
    def passes(self) -> int:
        """Passes that are over, of `per_pass` units each."""
        return self._done // self._per_pass

    def advance(self) -> None:
        """One more unit is done."""
        self._done += 1
        now = time.perf_counter()
        if self._verbose and sys.stdout.isatty() and now - self._shown > 0.2:
            self._shown = now
            spent = now - self._start
            left = spent / self._done * max(self.total - self._done, 0)
            which = f", pass {self.passes + 1}" if self._per_pass else ""
            sys.stdout.write(
                f"\r{self._label}{which}: {self._done}/{self.total}"
                f" - {format_seconds(left)} left   "
            )
            sys.stdout.flush()

    def close(self, what: str = "") -> None:
        """Ends the line, saying what was done."""
        if self._verbose:
            spent = format_seconds(time.perf_counter() - self._start)
            start = "\r" if sys.stdout.isatty() else ""
            what = what or f"{self._done} batches"
            print(f"{start}{self._label}: {what} in {spent}        ", flush=True)


def format_seconds(seconds: float) -> str:
    """Seconds as `12s`, `3:05` or `1:02:03`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def format_count(number: float) -> str:
    """A large number in short: `59.3M`, `0.301G`."""
    if number >= 1e11:
        return f"{number / 1e12:.3f}T"
    if number >= 1e8:
        return f"{number / 1e9:.3f}G"
    if number >= 1e6:
        return f"{number / 1e6:.2f}M"
    if number >= 1e3:
        return f"{number / 1e3:.1f}k"
    return f"{number:.0f}"
