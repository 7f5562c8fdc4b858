"""Shows a model's channel spaces: what may grow, and why the rest may not.

    python tools/inspect_model.py --model=mobilenet_v2
    python tools/inspect_model.py --helpshort

The same as `tf-splitting inspect`, from a clone.
"""

import _bootstrap  # noqa: F401

from tf_splitting_programs.commands.inspect_model import PROGRAM
from tf_splitting_programs.running import run_tool

if __name__ == "__main__":
    run_tool(PROGRAM)
