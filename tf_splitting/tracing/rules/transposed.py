"""Transposed convolutions, whose kernels have their last two axes the other way."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tf_splitting.tracing.rules.convolution import channel_axis, finish
from tf_splitting.tracing.rules.refusal import readable
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.sizes import count_positions, product
from tf_splitting.tracing.tracer import Signal, Tracer


@register(
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
def _transposed(
    tracer: Tracer, layer: Any, given: Signal
) -> Signal | tuple[Signal, ...]:
    axis = channel_axis(layer)
    x = readable(tracer, layer, given, axis)
    # The kernel is laid down once at every position of the input.
    count = count_positions(given.shape, axis)
    if isinstance(x, str):
        return tracer.opaque(x, given, macs=product((count, *layer.kernel.shape)))
    dtype = layer.compute_dtype

    def linear(x: Any, kernel: Any) -> Any:
        return ops.conv_transpose(
            ops.cast(x, dtype),
            ops.cast(kernel, dtype),
            strides=list(layer.strides),
            padding=layer.padding,
            output_padding=layer.output_padding,
            dilation_rate=layer.dilation_rate,
            data_format=layer.data_format,
        )

    u = tracer.linear(
        x,
        layer.kernel,
        linear,
        in_axis=-1,
        out_axis=-2,
        channel_axis=axis,
        positions=count,
    )
    return finish(tracer, layer, u)
