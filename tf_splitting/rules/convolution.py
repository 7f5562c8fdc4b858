"""Convolutions that mix all channels."""

from __future__ import annotations

import math
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


def _macs(layer: Any, shape: tuple[int | None, ...]) -> int | None:
    """Multiply-accumulates of a convolution whose output has this shape."""
    axis = channel_axis(layer) % len(shape)
    positions = [n for i, n in enumerate(shape) if i not in (0, axis)]
    if None in positions:
        return None
    kernel = (*layer.kernel_size, shape[axis])
    return math.prod(positions) * math.prod(kernel) * layer.kernel.shape[-2]


def add_bias_and_activation(layer: Any, u: Any) -> Any:
    """What a convolution layer does after its convolution."""
    if layer.use_bias:
        shape = [1] * len(u.shape)
        shape[channel_axis(layer)] = -1
        bias = ops.cast(layer.bias, layer.compute_dtype)
        u = ops.add(u, ops.reshape(bias, shape))
    return u if layer.activation is None else layer.activation(u)


@register(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
def _convolution(tracer: Tracer, layer: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    path = tracer.call.path
    opaque = None
    if layer.groups != 1:
        opaque = f"{path!r} is a grouped convolution (groups={layer.groups})"
    elif layer.lora_enabled or layer.quantization_mode is not None:
        opaque = f"{path!r} is quantized or uses LoRA"
    elif x.axis != channel_axis(layer):
        opaque = f"{path!r} mixes an axis that is not the channels"
    if opaque is not None:
        return tracer.opaque(opaque, x, macs=_macs(layer, tracer.output_shape))
    dtype = layer.compute_dtype

    def linear(x: Any, kernel: Any) -> Any:
        return layer.convolution_op(ops.cast(x, dtype), ops.cast(kernel, dtype))

    u = tracer.linear(x, layer.kernel, linear, channel_axis=channel_axis(layer))
    tracer.config("filters", u)
    if layer.use_bias:
        tracer.carry(layer.bias, 0, u)
    return apply_activation(
        tracer, layer, u, lambda u: add_bias_and_activation(layer, u)
    )
