"""Loads the checkpoint modules without the package around them, and so without
TensorFlow: processes start in no time and may fork.
"""

import sys
import types
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]


def install():
    """Puts empty packages in the place of those that import everything."""
    for name in ("tf_splitting", "tf_splitting.checkpoints"):
        package = types.ModuleType(name)
        package.__path__ = [str(ROOT.joinpath(*name.split(".")))]
        sys.modules[name] = package
