"""Dense layers, and embeddings, which are dense layers on one-hot vectors."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tf_splitting.tracing.keras_internals import with_mask
from tf_splitting.tracing.rules.activations import add_bias, apply_activation
from tf_splitting.tracing.rules.refusal import altered, readable
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.sizes import product
from tf_splitting.tracing.tracer import Signal, Tracer


@register(keras.layers.Dense)
def _dense(
    tracer: Tracer, layer: keras.layers.Dense, given: Signal
) -> Signal | tuple[Signal, ...]:
    x = readable(tracer, layer, given, -1)
    if isinstance(x, str):
        macs = product((given.shape[-1], *tracer.output_shape[1:]))
        return tracer.opaque(x, given, macs=macs)
    dtype = layer.compute_dtype

    def linear(x: Any, kernel: Any) -> Any:
        return ops.matmul(ops.cast(x, dtype), ops.cast(kernel, dtype))

    u = tracer.linear(x, layer.kernel, linear)
    tracer.config("units", u)
    return apply_activation(tracer, layer, add_bias(tracer, layer, u))


@register(keras.layers.Embedding)
def embed(
    tracer: Tracer, layer: keras.layers.Embedding, x: Signal
) -> Signal | tuple[Signal, ...]:
    """The rows of an embedding's table."""
    reason = altered(tracer, layer)
    if reason is not None:
        return tracer.opaque(reason, x)
    dtype = layer.compute_dtype

    def look_up(x: Any, table: Any) -> Any:
        vectors = ops.take(ops.cast(table, dtype), ops.cast(x, "int32"), axis=0)
        return with_mask(vectors, layer.compute_mask(x))

    u = tracer.linear(x, layer.embeddings, look_up, in_axis=None, positions=0)
    tracer.config("output_dim", u)
    return u
