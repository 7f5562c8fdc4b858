"""Separable convolutions: one layer, a depthwise half and a pointwise half."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from tf_splitting.tracing.rules.convolution import channel_axis, finish
from tf_splitting.tracing.rules.depthwise import depthwise_part
from tf_splitting.tracing.rules.refusal import readable
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.sizes import count_positions, product
from tf_splitting.tracing.tracer import Signal, Tracer


@register(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
def _separable(
    tracer: Tracer, layer: Any, given: Signal
) -> Signal | tuple[Signal, ...]:
    axis = channel_axis(layer)
    x = readable(tracer, layer, given, axis)
    count = count_positions(tracer.output_shape, axis)
    if isinstance(x, str):
        kernels = layer.depthwise_kernel, layer.pointwise_kernel
        entries = sum(math.prod(kernel.shape) for kernel in kernels)
        return tracer.opaque(x, given, macs=product((count, entries)))
    dtype = layer.compute_dtype
    depthwise = depthwise_part(layer, layer.depthwise_kernel)

    def pointwise(x: Any, kernel: Any) -> Any:
        return ops.conv(x, ops.cast(kernel, dtype), data_format=layer.data_format)

    shape = list(tracer.output_shape)
    shape[axis] = x.width * layer.depth_multiplier
    middle = tracer.channelwise(
        depthwise,
        x,
        shape=tuple(shape),
        repeat=layer.depth_multiplier,
        macs_per_channel=product((count, *layer.kernel_size)),
        linear_part=depthwise,
    )
    tracer.carry(layer.depthwise_kernel, -2, x, kind="kernel")
    u = tracer.linear(middle, layer.pointwise_kernel, pointwise, channel_axis=axis)
    return finish(tracer, layer, u)
