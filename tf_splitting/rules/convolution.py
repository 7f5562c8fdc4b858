"""Convolutions: those that mix all channels, and those with one group per channel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tf_splitting.rules.activations import apply_activation
from tf_splitting.rules.registry import register
from tf_splitting.tracer import Signal, Tracer


def channel_axis(layer: Any) -> int:
    """Axis of a layer's input and output that holds the channels, from the end."""
    if layer.data_format == "channels_last":
        return -1
    return -1 - layer.rank


def positions(layer: Any, shape: tuple[int | None, ...]) -> int | None:
    """Number of positions of a layer's input or output of this shape."""
    axis = channel_axis(layer) % len(shape)
    spatial = [n for i, n in enumerate(shape) if i not in (0, axis)]
    return None if None in spatial else math.prod(spatial)


def add_bias_and_activation(layer: Any, u: Any) -> Any:
    """What a convolution layer does after its convolution."""
    if layer.use_bias:
        shape = [1] * len(u.shape)
        shape[channel_axis(layer)] = -1
        bias = ops.cast(layer.bias, layer.compute_dtype)
        u = ops.add(u, ops.reshape(bias, shape))
    return u if layer.activation is None else layer.activation(u)


def finish(tracer: Tracer, layer: Any, u: Signal) -> Signal:
    """Filters, bias and activation of a convolution with linear output `u`."""
    tracer.config("filters", u)
    if layer.use_bias:
        tracer.carry(layer.bias, 0, u)
    return apply_activation(
        tracer, layer, u, lambda u: add_bias_and_activation(layer, u)
    )


def refusal(tracer: Tracer, layer: Any, x: Signal | None) -> str | None:
    """Why a convolution cannot be described, if so; `x` is its input along its axis."""
    path = tracer.call.path
    if getattr(layer, "lora_enabled", False) or layer.quantization_mode is not None:
        return f"{path!r} is quantized or uses LoRA"
    if x is None:
        return f"{path!r} mixes an axis that is not the channels"
    return None


@register(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
def _convolution(
    tracer: Tracer, layer: Any, given: Signal
) -> Signal | tuple[Signal, ...]:
    x = tracer.along(given, channel_axis(layer))
    reason = refusal(tracer, layer, x)
    if reason is None and layer.groups not in (1, x.width):
        reason = (
            f"{tracer.call.path!r} is a convolution in {layer.groups} groups of "
            "several channels, which must stay equally wide"
        )
    if reason is not None:
        count = positions(layer, tracer.output_shape)
        macs = None if count is None else count * math.prod(layer.kernel.shape)
        return tracer.opaque(reason, given, macs=macs)
    if layer.groups == 1:
        run = _linear_part(layer)
        u = tracer.linear(x, layer.kernel, run, channel_axis=channel_axis(layer))
        return finish(tracer, layer, u)
    return _one_group_per_channel(tracer, layer, x)


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


def _one_group_per_channel(tracer: Tracer, layer: Any, x: Signal) -> Signal:
    """A depthwise convolution by another name, as in ConvNeXt."""
    count = positions(layer, tracer.output_shape)
    macs = None if count is None else count * math.prod(layer.kernel_size)
    repeat = layer.filters // layer.groups
    z = tracer.channelwise(tracer.call.run, x, repeat=repeat, macs_per_channel=macs)
    tracer.carry(layer.kernel, -1, z)
    tracer.config("groups", x)
    tracer.config("filters", z)
    if layer.use_bias:
        tracer.carry(layer.bias, 0, z)
    return apply_activation(tracer, layer, z, lambda z: z)
