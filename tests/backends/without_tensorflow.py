"""Runs a script as if TensorFlow were not installed.

python tests/backends/without_tensorflow.py SCRIPT [ARGUMENT ...]
"""

import importlib.abc
import runpy
import sys
from pathlib import Path

HIDDEN = ("tensorflow", "tensorflow_datasets")


class NotInstalled(importlib.abc.MetaPathFinder):
    """Finds none of the hidden packages, and lets nobody else find them."""

    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


if __name__ == "__main__":
    sys.meta_path.insert(0, NotInstalled())
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
