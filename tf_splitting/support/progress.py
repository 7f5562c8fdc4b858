"""One-line progress on the terminal."""

from __future__ import annotations

import sys
import time

from tf_splitting.support.terminal import Piece, fitting, styled, terminal_width

# Seconds between two sights of a line that rewrites itself.
OFTEN = 0.2


class Bar:
    """A progress line that rewrites itself; silent when not verbose.

    It is written over, never cleared, so that it does not flicker. Where the output is
    not a terminal only the finished line is printed.
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
        self._length = 0

    @property
    def passes(self) -> int:
        """Passes that are over, of `per_pass` units each."""
        return self._done // self._per_pass

    def advance(self) -> None:
        """One more unit is done."""
        self._done += 1
        now = time.perf_counter()
        if self._verbose and now - self._shown > OFTEN and terminal_width() is not None:
            self._shown = now
            spent = now - self._start
            left = spent / self._done * max(self.total - self._done, 0)
            which = f", pass {self.passes + 1}" if self._per_pass else ""
            self._write(
                Piece(f"{self._label}{which}:", 2),
                Piece(f"{self._done}/{self.total}", 3),
                Piece(f"{format_seconds(left)} left", 1, "dim"),
            )

    def close(self, what: str = "") -> None:
        """Ends the line, saying what was done."""
        if self._verbose:
            spent = format_seconds(time.perf_counter() - self._start)
            what = what or f"{self._done} batches"
            if terminal_width() is None:
                print(f"{self._label}: {what} in {spent}", flush=True)
                return
            self._write(Piece(f"{self._label}: {what}", 2), Piece(f"in {spent}", 1))
            print(flush=True)

    def _write(self, *pieces: Piece) -> None:
        """Writes over the line; blanks cover what is left of the one before."""
        fit, _ = fitting(pieces)
        length = len(" ".join(piece.text for piece in fit))
        text = " ".join(styled(piece.text, piece.style) for piece in fit)
        blanks = " " * max(self._length - length, 0)
        self._length = length
        sys.stdout.write(f"\r{text}{blanks}")
        sys.stdout.flush()


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
