"""Layer types the toolkit can split. Importing this package registers them all."""

from tf_splitting.layers import (  # noqa: F401  (each registers its rules)
    activations,
    convolution,
    dense,
    depthwise,
    identity,
    merging,
    normalization,
    reshaping,
    spatial,
)
from tf_splitting.layers.activations import register_activation
from tf_splitting.layers.registry import register

__all__ = ["register", "register_activation"]
