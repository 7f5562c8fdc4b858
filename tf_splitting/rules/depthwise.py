"""Depthwise convolutions: channel i of the input makes channels i*m to i*m+m-1."""

from __future__ import annotations

import math
from typing import Any

import keras

from tf_splitting.rules.activations import apply_activation
from tf_splitting.rules.convolution import channel_axis, positions, refusal
from tf_splitting.rules.registry import register
from tf_splitting.tracer import Signal, Tracer


@register(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
def _depthwise(
    tracer: Tracer, layer: Any, given: Signal
) -> Signal | tuple[Signal, ...]:
    x = tracer.along(given, channel_axis(layer))
    count = positions(layer, tracer.output_shape)
    reason = refusal(tracer, layer, x)
    if reason is not None:
        macs = None if count is None else count * math.prod(layer.kernel.shape)
        return tracer.opaque(reason, given, macs=macs)
    macs = None if count is None else count * math.prod(layer.kernel_size)
    z = tracer.channelwise(
        tracer.call.run, x, repeat=layer.depth_multiplier, macs_per_channel=macs
    )
    tracer.carry(layer.kernel, -2, x)
    if layer.use_bias:
        tracer.carry(layer.bias, 0, z)
    return apply_activation(tracer, layer, z, lambda z: z)
