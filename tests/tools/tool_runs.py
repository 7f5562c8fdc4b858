"""How the tests of the tools run them: settings and command lines."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Few images and short phases: what is tested is the program around them.
TINY = ("--train_limit=64", "--test_limit=40", "--batch_size=16")
SHORT = ("--sample_size=16", "--passes=2", "--final_epochs=1")


def command(tool, *flags):
    return [sys.executable, str(ROOT / "tools" / f"{tool}.py"), *map(str, flags)]


def environment():
    """The caller's, without what would hide TensorFlow's chatter."""
    hidden = ("TF_CPP_MIN_LOG_LEVEL", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if name not in hidden}
