"""Exports a `.keras` file, and checks that the result computes the same.

    python tools/export.py --model=grown.keras --output=exported
    python tools/export.py --helpshort

The same as `tf-splitting export`, from a clone.
"""

import _bootstrap  # noqa: F401

from tf_splitting_programs.commands.export import PROGRAM
from tf_splitting_programs.running import run_tool

if __name__ == "__main__":
    run_tool(PROGRAM)
