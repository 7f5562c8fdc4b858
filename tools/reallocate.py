"""Trains a model and moves its neurons to where they gain more, its MACs kept.

    python tools/reallocate.py --model=uneven.keras
    python tools/reallocate.py --helpshort

The same as `tf-splitting reallocate`, from a clone.
"""

import _bootstrap  # noqa: F401

from tf_splitting_programs.commands.reallocate import PROGRAM
from tf_splitting_programs.running import run_tool

if __name__ == "__main__":
    run_tool(PROGRAM)
