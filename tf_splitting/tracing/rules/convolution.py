"""Convolutions: those that mix all channels, and those that do so within groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tf_splitting.tracing.rules.activations import add_bias, apply_activation
from tf_splitting.tracing.rules.refusal import readable
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.sizes import count_positions, product
from tf_splitting.tracing.tracer import Signal, Tracer


def channel_axis(layer: Any) -> int:
    """Axis of a layer's input and output that holds the channels, from the end."""
    if layer.data_format == "channels_last":
        return -1
    return -1 - layer.rank


def finish(tracer: Tracer, layer: Any, u: Signal) -> Signal:
    """Filters, bias and activation of a convolution with linear output `u`."""
    tracer.config("filters", u)
    return apply_activation(tracer, layer, add_bias(tracer, layer, u))


@register(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
def _convolution(
    tracer: Tracer, layer: Any, given: Signal
) -> Signal | tuple[Signal, ...]:
    axis = channel_axis(layer)
    x = readable(tracer, layer, given, axis)
    count = count_positions(tracer.output_shape, axis)
    if isinstance(x, str):
        return tracer.opaque(x, given, macs=product((count, *layer.kernel.shape)))
    if layer.groups == 1:
        u = tracer.linear(x, layer.kernel, _linear_part(layer), channel_axis=axis)
        return finish(tracer, layer, u)
    return _in_groups(tracer, layer, x, count)


def _linear_part(layer: Any) -> Callable[[Any, Any], Any]:
    dtype = layer.compute_dtype
    # Conv1D only: no position may see a later one.
    causal = layer.padding == "causal"
    before = layer.dilation_rate[0] * (layer.kernel_size[0] - 1)
    steps = (before, 0), (0, 0)

    def linear(x: Any, kernel: Any) -> Any:
        x = ops.cast(x, dtype)
        if causal:
            last = layer.data_format == "channels_last"
            x = ops.pad(x, ((0, 0), *(steps if last else steps[::-1])))
        return ops.conv(
            x,
            ops.cast(kernel, dtype),
            strides=layer.strides,
            padding="valid" if causal else layer.padding,
            data_format=layer.data_format,
            dilation_rate=layer.dilation_rate,
        )

    return linear


def _in_groups(tracer: Tracer, layer: Any, x: Signal, count: int | None) -> Signal:
    """A convolution that keeps its groups apart: a whole group is one neuron.

    With a group for every channel it is a depthwise one, as in ConvNeXt.
    """
    groups = tracer.bundle(x, layer.groups)
    each = layer.filters // layer.groups
    linear, kernel = _linear_part(layer), layer.kernel

    def run(x: Any) -> Any:
        return linear(x, kernel)

    def scaled(factor: Any) -> Callable[[Any], Any]:
        weights = ops.cast(kernel, layer.compute_dtype) * ops.reshape(factor, (-1,))
        return lambda x: linear(x, weights)

    z = tracer.channelwise(
        run,
        groups,
        repeat=each,
        macs_per_channel=product((count, *kernel.shape[:-1])),
        linear_part=run,
        scaled=scaled,
    )
    tracer.carry(kernel, -1, z, kind="kernel")
    tracer.config("groups", groups)
    return finish(tracer, layer, z)
