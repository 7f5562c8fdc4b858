"""Values of variables."""

from __future__ import annotations

import math
from typing import Any

import keras


def assign_copy(target: Any, source: Any) -> None:
    """Sets a variable to a value that stays its owner's.

    On JAX `assign` would let two variables share one array, which the next training
    step of either gives away: the other's would be gone.

    Args:
        target: the variable to set.
        source: a variable, or an array; of the same shape, or of one that holds the
            same numbers in a row: a weight that a layer read by itself is a row of a
            table after the layer has been opened.
    """
    value = keras.ops.copy(source)
    if value.shape != target.shape and math.prod(value.shape) == math.prod(
        target.shape
    ):
        value = keras.ops.reshape(value, target.shape)
    target.assign(value)
