"""Separable convolutions: one layer, a depthwise half and a pointwise half."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from tf_splitting.rules.convolution import channel_axis, finish, positions, refusal
from tf_splitting.rules.registry import register
from tf_splitting.tracer import Signal, Tracer


@register(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
def _separable(
    tracer: Tracer, layer: Any, given: Signal
) -> Signal | tuple[Signal, ...]:
    axis = channel_axis(layer)
    x = tracer.along(given, axis)
    count = positions(layer, tracer.output_shape)
    window = math.prod(layer.kernel_size)
    reason = refusal(tracer, layer, x)
    if reason is not None:
        kernels = layer.depthwise_kernel, layer.pointwise_kernel
        entries = sum(math.prod(kernel.shape) for kernel in kernels)
        return tracer.opaque(
            reason, given, macs=None if count is None else count * entries
        )
    dtype = layer.compute_dtype

    def depthwise(x: Any) -> Any:
        return ops.depthwise_conv(
            ops.cast(x, dtype),
            ops.cast(layer.depthwise_kernel, dtype),
            strides=layer.strides,
            padding=layer.padding,
            data_format=layer.data_format,
            dilation_rate=layer.dilation_rate,
        )

    def pointwise(x: Any, kernel: Any) -> Any:
        return ops.conv(x, ops.cast(kernel, dtype), data_format=layer.data_format)

    shape = list(tracer.output_shape)
    shape[axis] = x.width * layer.depth_multiplier
    middle = tracer.channelwise(
        depthwise,
        x,
        shape=tuple(shape),
        repeat=layer.depth_multiplier,
        macs_per_channel=None if count is None else count * window,
    )
    tracer.carry(layer.depthwise_kernel, -2, x)
    u = tracer.linear(middle, layer.pointwise_kernel, pointwise, channel_axis=axis)
    return finish(tracer, layer, u)
