"""How Keras layers describe their channels. Importing this registers them all."""

from tf_splitting.tracing.rules import (  # noqa: F401  (each registers its rules)
    activations,
    attention,
    axes,
    convolution,
    dense,
    depthwise,
    einsum,
    identity,
    merging,
    normalization,
    numbered,
    operations,
    positions,
    recurrent,
    reshaping,
    separable,
    slicing,
    spatial,
    stock,
    transposed,
)
