"""Refuses a Keras that is too old, as soon as anything of the package is imported.

Without it the import would end in whatever name that Keras lacks first.
"""

import re

import keras

OLDEST_KERAS = "3.10"


def check_keras(version: str, where: str) -> None:
    """Raises unless this version of Keras, installed there, is new enough.

    Raises:
        ImportError: it is too old, or Keras 2.
    """
    if _release(version) >= _release(OLDEST_KERAS):
        return
    raise ImportError(
        f"`import keras` gave Keras {version} (in {where}); tf_splitting needs Keras "
        f"{OLDEST_KERAS} or newer. Run `python -m pip install --upgrade "
        f'"keras>={OLDEST_KERAS}"`; and if TensorFlow is older than 2.16, which keeps '
        'Keras 2, `python -m pip install --upgrade "tensorflow>=2.18"` before it.',
        name="keras",
    )


def _release(version: str) -> tuple[int, ...]:
    """Major and minor number: (3, 16) of "3.16.0.dev1"."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


check_keras(keras.__version__, str(keras.__file__))

# The release in use, for the little that needs a newer one than the oldest.
KERAS = _release(keras.__version__)
