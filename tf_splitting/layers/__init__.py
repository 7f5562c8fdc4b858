"""Layers that know how to be split and cut, and how a layer of your own joins them.

A plain Keras model needs none of this: the toolkit knows its layer types. Build with
these where you want to split by hand, or implement `trace_channels` on a layer of
your own (see the README).

In: layers.
Out: layers of other widths; the registration of rules.
Imports from: rebuilding, selecting, tracing, support.
"""

from tf_splitting.layers.alone import remove_from_layer, split_layer
from tf_splitting.layers.splittable import (
    BatchNormalization,
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    PReLU,
    SeparableConv1D,
    SeparableConv2D,
    Splittable,
    convert,
    is_splittable,
    to_plain,
)
from tf_splitting.tracing import Signal, Tracer, register, register_activation

__all__ = [
    "BatchNormalization",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "PReLU",
    "SeparableConv1D",
    "SeparableConv2D",
    "Signal",
    "Splittable",
    "Tracer",
    "convert",
    "is_splittable",
    "register",
    "register_activation",
    "remove_from_layer",
    "split_layer",
    "to_plain",
]
