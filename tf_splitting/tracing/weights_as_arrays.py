"""Layers whose weights are arrays for a while.

Of a variable times a symbolic tensor, backends make nothing; of an array they make an
operation on the tensor.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np


class _Weight(np.ndarray):
    """An array that leaves what is to be done with symbolic tensors to Keras."""

    def __array_ufunc__(
        self, ufunc: Any, method: Any, *inputs: Any, **kwargs: Any
    ) -> Any:
        if any(isinstance(each, keras.KerasTensor) for each in inputs):
            return getattr(keras.ops, ufunc.__name__)(*inputs)
        plain = [np.asarray(each) for each in inputs]
        return np.asarray(getattr(ufunc, method)(*plain, **kwargs)).view(_Weight)


@contextmanager
def weights_as_arrays(layer: Any) -> Iterator[None]:
    """Puts arrays in the place of a layer's own weights for a while."""
    own = {k: v for k, v in vars(layer).items() if isinstance(v, keras.Variable)}
    arrays = {
        name: keras.ops.convert_to_numpy(variable).view(_Weight)
        for name, variable in own.items()
    }
    vars(layer).update(arrays)
    try:
        yield
    finally:
        vars(layer).update(own)
