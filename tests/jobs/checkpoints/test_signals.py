"""The first signal asks to stop; the second ends the process, whenever it comes."""

import subprocess
import sys

import pytest
from light import FOLDER

PROGRAM = """
import os, signal, sys
import light
light.install()
from tf_splitting.support.interruption import stop_on_signals, stop_requested

first, second = (signal.Signals[name] for name in sys.argv[1:3])
with stop_on_signals():
    if sys.argv[3] == "together":
        # Python hears of both at once, as at the end of a long operation.
        signal.pthread_sigmask(signal.SIG_BLOCK, {first, second})
        os.kill(os.getpid(), first)
        os.kill(os.getpid(), second)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {first, second})
    else:
        os.kill(os.getpid(), first)
        assert stop_requested() == first.name
        print("asked to stop", flush=True)
        os.kill(os.getpid(), second)
    print("still here", flush=True)
"""


@pytest.mark.parametrize(
    ("first", "second", "when"),
    [
        ("SIGINT", "SIGINT", "later"),
        ("SIGTERM", "SIGTERM", "later"),
        ("SIGINT", "SIGTERM", "later"),
        ("SIGTERM", "SIGINT", "later"),
        ("SIGINT", "SIGTERM", "together"),
    ],
)
def test_a_second_signal_ends_the_process(first, second, when):
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, first, second, when],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=60,
    )
    # Python hears of SIGINT first when both are there.
    assert -process.returncode == subprocess.signal.Signals[second]
    assert process.stdout == ("asked to stop\n" if when == "later" else "")
    assert process.stderr == f"\n{first}: stopping after this step\n"
