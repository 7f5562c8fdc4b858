"""Loads the checkpoint modules without the package around them, and so without
TensorFlow: processes start in no time and may fork.
"""

import importlib
import sys
import types
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[2]


def install():
    """Puts empty packages in the place of those that import everything."""
    for name in ("tf_splitting", "tf_splitting.jobs", "tf_splitting.support"):
        package = types.ModuleType(name)
        package.__path__ = [str(ROOT.joinpath(*name.split(".")))]
        sys.modules[name] = package
    # What checkpoints need of that room needs nothing itself.
    files = importlib.import_module("tf_splitting.support.files")
    vars(sys.modules["tf_splitting.support"]).update(vars(files))
