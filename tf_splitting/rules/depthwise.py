"""Depthwise convolutions: channel i of the input makes channels i*m to i*m+m-1."""

from __future__ import annotations

import math
from typing import Any

import keras

from tf_splitting.rules.activations import apply_activation
from tf_splitting.rules.convolution import channel_axis
from tf_splitting.rules.registry import register
from tf_splitting.tracer import Signal, Tracer


@register(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
def _depthwise(tracer: Tracer, layer: Any, x: Signal) -> Signal | tuple[Signal, ...]:
    axis = channel_axis(layer)
    shape = tracer.output_shape
    spatial = [n for i, n in enumerate(shape) if i not in (0, axis % len(shape))]
    macs = None
    if None not in spatial:
        macs = math.prod(spatial) * math.prod(layer.kernel_size)
    if x.axis != axis:
        return tracer.opaque(
            f"{tracer.call.path!r} convolves an axis that is not the channels",
            x,
            macs=None if macs is None else macs * shape[axis],
        )
    z = tracer.channelwise(
        tracer.call.run, x, repeat=layer.depth_multiplier, macs_per_channel=macs
    )
    tracer.carry(layer.kernel, -2, x)
    if layer.use_bias:
        tracer.carry(layer.bias, 0, z)
    return apply_activation(tracer, layer, z, lambda z: z)
