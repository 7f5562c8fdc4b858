"""Progress on a terminal, which is a pseudo-terminal here, and in a file."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import sys
import termios
import threading

import nets
import pytest
from interrupted import examples

import tf_splitting
from tf_splitting.support import Piece, line_of, progress, styled, wrapped
from tf_splitting.support.progress import Bar

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
METRICS = [Piece(f"metric_{n} 0.1234", n) for n in range(9)]


class Terminal:
    """A terminal of 80 columns that takes the output's place, as a context manager.

    Attributes:
        text: what was written to it; complete once it is left.
    """

    columns = 80

    def __init__(self):
        self._ours, theirs = pty.openpty()
        size = struct.pack("HHHH", 24, self.columns, 0, 0)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
        self._stream = os.fdopen(theirs, "w")
        self.text = ""

    def __enter__(self):
        self._before, sys.stdout = sys.stdout, self._stream
        # It takes a few kilobytes; who writes more waits for a reader.
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __exit__(self, *_):
        sys.stdout = self._before
        self._stream.close()
        self._reader.join()
        os.close(self._ours)

    def _read(self):
        read = b""
        # Nobody writes any more: Linux says that it is an error.
        with contextlib.suppress(OSError):
            while data := os.read(self._ours, 65536):
                read += data
        self.text = read.decode()

    def lines(self):
        """What is seen in the end: every line as it was written over."""
        seen = []
        for line in COLOURS.sub("", self.text).replace("\r\n", "\n").split("\n"):
            cells = []
            for part in line.split("\r"):
                assert len(part) < self.columns, f"wraps: {part}"
                cells[: len(part)] = part
            seen.append("".join(cells).rstrip())
        return seen


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def test_what_matters_least_is_left_out(terminal):
    with terminal:
        line = line_of([*METRICS, Piece("12s left", 10)])
        # Four of the heaviest, in their order, beside what matters more.
        kept = [f"metric_{n} 0.1234" for n in (5, 6, 7, 8)]
        assert line == " ".join([*kept, "12s left"])
        assert line_of(METRICS[:4]) == "  ".join(f"metric_{n} 0.1234" for n in range(4))
        assert line_of([Piece("x" * 100, 1)]) == "x" * 78 + "…"


def test_a_file_gets_all_of_it_and_no_colours(capsys):
    print(line_of([Piece("a" * 60, 0, "bold"), Piece("b" * 60, 1, "dim")]))
    print(wrapped("word " * 40))
    assert capsys.readouterr().out == f"{'a' * 60}  {'b' * 60}\n{'word ' * 40}\n"


def test_colours_are_the_users_choice(terminal, monkeypatch):
    with terminal:
        assert styled("x", "bold") == "\x1b[1mx\x1b[0m"
        monkeypatch.setenv("NO_COLOR", "1")
        assert styled("x", "bold") == "x"
        monkeypatch.setenv("NO_COLOR", "")
        assert styled("x", "bold") != "x"
        monkeypatch.setenv("TERM", "dumb")
        assert styled("x", "bold") == "x"


def test_a_bar_is_written_over_and_never_cleared(terminal, monkeypatch):
    monkeypatch.setattr(progress, "OFTEN", 0)
    with terminal:
        bar = Bar("estimating", total=1200, per_pass=400)
        for _ in range(1200):
            bar.advance()
        long = "1200 batches, in three passes, of which the last was cut short, " * 2
        bar.close(long)
        bar = Bar("scoring", total=10)
        bar.advance()
        bar.close("done")
    lines = terminal.lines()
    assert lines[0].startswith("estimating: 1200 batches")
    assert lines[1] == "scoring: done in 0s"
    # Nothing but colours: no line is cleared, no cursor moved.
    assert "\x1b" not in COLOURS.sub("", terminal.text)
    assert terminal.text.count("\r") > 1000


def test_a_dumb_terminal_gets_finished_lines(terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(progress, "OFTEN", 0)
    with terminal:
        bar = Bar("scoring", total=2)
        bar.advance()
        bar.close()
    assert terminal.text == "scoring: 1 batches in 0s\r\n"


@pytest.mark.slow
def test_no_line_of_a_job_wraps(terminal):
    """Epochs with all metrics, tables, bars, and the sentence at the end."""
    x, y = examples()
    model = nets.dense()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    with terminal:
        tf_splitting.grow(
            *(model, (x, y)),
            target_macs=400,
            max_widths=8,
            epochs=1,
            final_epochs=2,
            validation_data=(x, y),
        )
    lines = terminal.lines()
    epochs = [line for line in lines if line.startswith("round") and "epoch" in line]
    assert len(epochs) >= 3
    assert all("val_accuracy" in line and line.endswith("left") for line in epochs)
    assert any("neurons measured on" in line for line in lines)
    assert any(line.startswith("Growing stops") for line in lines)
    assert "\x1b[1m" in terminal.text
