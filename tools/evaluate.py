"""Accuracy, loss, cost and latency of a `.keras` file or a SavedModel folder.

    python tools/evaluate.py runs/mobilenet_v2/grown.keras
    python tools/evaluate.py --helpshort

The same as `tf-splitting evaluate`, from a clone.
"""

import _bootstrap  # noqa: F401

from tf_splitting_programs.commands.evaluate import PROGRAM
from tf_splitting_programs.running import run_tool

if __name__ == "__main__":
    run_tool(PROGRAM)
