"""What a job ran on."""

from __future__ import annotations

import platform
import sys

import keras
import numpy as np

from tf_splitting.support import VERSION


def versions() -> dict[str, str]:
    """Versions by name: the package, Keras, its backend, NumPy, Python."""
    backend = keras.backend.backend()
    return {
        "tf_splitting": VERSION,
        "Keras": keras.__version__,
        backend: sys.modules[backend].__version__,
        "NumPy": np.__version__,
        "Python": platform.python_version(),
    }
