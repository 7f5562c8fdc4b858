"""Trains a model and removes the neurons that matter least, down to a MACs budget.

    python tools/shrink.py --model=wide.keras --target_macs=50e6
    python tools/shrink.py --helpshort

The same as `tf-splitting shrink`, from a clone.
"""

import _bootstrap  # noqa: F401

from tf_splitting_programs.commands.shrink import PROGRAM
from tf_splitting_programs.running import run_tool

if __name__ == "__main__":
    run_tool(PROGRAM)
