"""Attention: described only as far as its cost; all it touches is frozen."""

from __future__ import annotations

from typing import Any

import keras

from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.tracer import Signal, Tracer, product


@register(keras.layers.MultiHeadAttention, any_arguments=True)
def _multi_head(
    tracer: Tracer, layer: keras.layers.MultiHeadAttention, *xs: Signal
) -> tuple[Signal, ...]:
    # query, value and, if it differs, key, as far as they were passed by position.
    query, value, *rest = [x.shape for x in xs] * (2 if len(xs) == 1 else 1)
    key = rest[0] if rest and len(rest[0]) == len(value) else value
    return tracer.opaque(
        f"{tracer.call.path!r} cuts its channels into heads",
        *xs,
        macs=_macs(layer, query, value, key, tracer.output_shape[-1]),
    )


@register(
    keras.layers.Attention,
    keras.layers.AdditiveAttention,
    keras.layers.GroupQueryAttention,
    any_arguments=True,
)
def _attention(tracer: Tracer, layer: Any, *xs: Signal) -> tuple[Signal, ...]:
    tracer.leave_uncounted()
    return tracer.opaque(f"{tracer.call.path!r} compares its channels", *xs)


_Shape = tuple[int | None, ...]


def _macs(
    layer: Any, query: _Shape, value: _Shape, key: _Shape, width: int | None
) -> int | None:
    """Four projections, and the two products of attention."""
    to, of = product(query[1:-1]), product(value[1:-1])
    keys = layer.num_heads * layer.key_dim
    values = layer.num_heads * (layer.value_dim or layer.key_dim)
    counts = (
        product((to, query[-1], keys)),
        product((of, key[-1], keys)),
        product((of, value[-1], values)),
        product((to, values, width)),
        product((to, of, keys + values)),
    )
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
