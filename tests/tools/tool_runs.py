"""How the tests of the tools run them: settings and command lines."""

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Few images and short phases: what is tested is the program around them.
TINY = ("--train_limit=64", "--test_limit=40", "--batch_size=16")
SHORT = ("--sample_size=16", "--passes=2", "--final_epochs=1")


def command(tool, *flags):
    return [sys.executable, str(ROOT / "tools" / f"{tool}.py"), *map(str, flags)]


def program_of(tool):
    """The program behind a tool. Its flags are defined from then on."""
    return importlib.import_module(f"tf_splitting_programs.commands.{tool}").PROGRAM


def environment():
    """The caller's, without what would hide TensorFlow's chatter."""
    hidden = ("TF_CPP_MIN_LOG_LEVEL", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def started(workdir, small_file, *flags, **variables):
    """The usual growing job as a process that runs, with these in its environment."""
    return subprocess.Popen(
        command(
            "grow",
            f"--model={small_file}",
            "--target_macs=120e3",
            f"--workdir={workdir}",
            *TINY,
            *SHORT,
            *flags,
        ),
        env={**environment(), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts its background jobs with the signal ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
