"""Depthwise convolutions: channel i of the input makes channels i*m to i*m+m-1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tf_splitting.tracing.rules.activations import add_bias, apply_activation
from tf_splitting.tracing.rules.convolution import channel_axis
from tf_splitting.tracing.rules.refusal import readable
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.sizes import count_positions, product
from tf_splitting.tracing.tracer import Signal, Tracer


@register(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
def _depthwise(
    tracer: Tracer, layer: Any, given: Signal
) -> Signal | tuple[Signal, ...]:
    axis = channel_axis(layer)
    x = readable(tracer, layer, given, axis)
    count = count_positions(tracer.output_shape, axis)
    if isinstance(x, str):
        return tracer.opaque(x, given, macs=product((count, *layer.kernel.shape)))
    run = depthwise_part(layer, layer.kernel)
    z = tracer.channelwise(
        run,
        x,
        repeat=layer.depth_multiplier,
        macs_per_channel=product((count, *layer.kernel_size)),
        linear_part=run,
        scaled=lambda factor: depthwise_part(layer, layer.kernel, factor),
    )
    tracer.carry(layer.kernel, -2, x, kind="kernel")
    return apply_activation(tracer, layer, add_bias(tracer, layer, z))


def depthwise_part(layer: Any, kernel: Any, factor: Any = None) -> Callable[[Any], Any]:
    """The depthwise convolution of a depthwise or separable layer, and no more.

    Args:
        layer: holds the settings.
        kernel: its depthwise kernel, `[..., channels, multiplier]`.
        factor: a number per channel of the result to multiply it with.
    """
    dtype = layer.compute_dtype

    def run(x: Any) -> Any:
        weights = ops.cast(kernel, dtype)
        if factor is not None:
            weights = weights * ops.reshape(factor, kernel.shape[-2:])
        return ops.depthwise_conv(
            ops.cast(x, dtype),
            weights,
            strides=layer.strides,
            padding=layer.padding,
            data_format=layer.data_format,
            dilation_rate=layer.dilation_rate,
        )

    return run
