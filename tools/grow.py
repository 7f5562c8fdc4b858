"""Trains a small model and grows it by splitting neurons, under a MACs budget.

    python tools/grow.py --model=mobilenet_v2 --target_macs=0.2e9
    python tools/grow.py --helpshort

The same as `tf-splitting grow`, from a clone.
"""

import _bootstrap  # noqa: F401

from tf_splitting_programs.commands.grow import PROGRAM
from tf_splitting_programs.running import run_tool

if __name__ == "__main__":
    run_tool(PROGRAM)
