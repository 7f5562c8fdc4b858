"""Dense layers."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from tf_splitting.rules.activations import apply_activation
from tf_splitting.rules.registry import register
from tf_splitting.tracer import Signal, Tracer


@register(keras.layers.Dense)
def _dense(
    tracer: Tracer, layer: keras.layers.Dense, x: Signal
) -> Signal | tuple[Signal, ...]:
    opaque = None
    if layer.lora_enabled or layer.quantization_mode is not None:
        opaque = f"{tracer.call.path!r} is quantized or uses LoRA"
    elif x.axis != -1:
        opaque = f"{tracer.call.path!r} mixes an axis that is not the channels"
    if opaque is not None:
        lengths = (x.shape[-1], *tracer.output_shape[1:])
        return tracer.opaque(
            opaque, x, macs=None if None in lengths else math.prod(lengths)
        )
    dtype = layer.compute_dtype

    def linear(x: Any, kernel: Any) -> Any:
        return ops.matmul(ops.cast(x, dtype), ops.cast(kernel, dtype))

    def rest(u: Any) -> Any:
        if layer.use_bias:
            u = ops.add(u, ops.cast(layer.bias, dtype))
        return u if layer.activation is None else layer.activation(u)

    u = tracer.linear(x, layer.kernel, linear)
    tracer.config("units", u)
    if layer.use_bias:
        tracer.carry(layer.bias, 0, u)
    return apply_activation(tracer, layer, u, rest)
