"""How the tests of a release run commands: as somebody does who has no checkout."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*command, cwd, succeeds=True):
    """A finished command, whose output is text."""
    hidden = ("PYTHONPATH", "TF_CPP_MIN_LOG_LEVEL")
    process = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={name: text for name, text in os.environ.items() if name not in hidden},
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert not succeeds or process.returncode == 0, process.stdout + process.stderr
    return process
