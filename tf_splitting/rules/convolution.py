"""Convolutions that mix all channels."""

from __future__ import annotations

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
    if layer.groups != 1:
        return tracer.opaque(
            f"{tracer.call.path!r} is a grouped convolution (groups={layer.groups})", x
        )
    if layer.lora_enabled or layer.quantization_mode is not None:
        return tracer.opaque(f"{tracer.call.path!r} is quantized or uses LoRA", x)
    if x.axis != channel_axis(layer):
        return tracer.opaque(
            f"{tracer.call.path!r} mixes an axis that is not the channels", x
        )
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
