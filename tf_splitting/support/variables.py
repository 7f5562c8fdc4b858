"""Values of variables."""

from __future__ import annotations

from typing import Any

import keras


def assign_copy(target: Any, source: Any) -> None:
    """Sets a variable to a value that stays its owner's.

    On JAX `assign` would let two variables share one array, which the next training
    step of either gives away: the other's would be gone.

    Args:
        target: the variable to set.
        source: a variable, or an array.
    """
    target.assign(keras.ops.copy(source))
