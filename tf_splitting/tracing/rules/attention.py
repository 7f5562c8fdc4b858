"""Attention: its heads are channels, which queries, keys and values have in common.

Layers that nobody can look into are described only as far as their cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from tf_splitting.tracing.keras_internals import operation_types
from tf_splitting.tracing.rules.registry import register, resizes
from tf_splitting.tracing.sizes import product
from tf_splitting.tracing.tracer import Signal, Tracer


@register(keras.layers.MultiHeadAttention, any_arguments=True, opens=True)
def _multi_head(
    tracer: Tracer, layer: keras.layers.MultiHeadAttention, *xs: Signal
) -> tuple[Signal, ...]:
    # query, value and, if it differs, key, as far as they were passed by position.
    query, value, *rest = [x.shape for x in xs] * (2 if len(xs) == 1 else 1)
    key = rest[0] if rest and len(rest[0]) == len(value) else value
    reason = f"{tracer.call.path!r} cuts its channels into heads"
    closed = tracer.call.closed
    return tracer.opaque(
        reason if closed is None else f"{reason}; it {closed}",
        *xs,
        macs=_macs(layer, query, value, key, tracer.output_shape[-1]),
    )


@register(
    keras.layers.Attention,
    keras.layers.AdditiveAttention,
    keras.layers.GroupQueryAttention,
    any_arguments=True,
    opens=True,
)
def _attention(tracer: Tracer, layer: Any, *xs: Signal) -> tuple[Signal, ...]:
    tracer.leave_uncounted()
    return tracer.opaque(f"{tracer.call.path!r} compares its channels", *xs)


@resizes(keras.layers.MultiHeadAttention)
def _resized(layer: Any, changes: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    heads, _ = _sizes(layer.query_dense, changes)
    _, values = _sizes(layer.value_dense, changes)
    return {"num_heads": heads, "value_dim": values, **_width(layer, changes)}


def _sizes(dense: Any, changes: Mapping[int, Mapping[str, Any]]) -> tuple[int, int]:
    """Heads, and the size of each, that a projection makes."""
    config = {**dense.get_config(), **changes.get(id(dense), {})}
    return config["output_shape"][-2:]


def _width(layer: Any, changes: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """The width of the result, if it changes."""
    changed = changes.get(id(layer.output_dense))
    return {"output_shape": changed["output_shape"][-1:]} if changed else {}


@register(
    *operation_types(lambda q, k, v: ops.dot_product_attention(q, k, v), 3),
    any_arguments=True,
)
def _dot_products(
    tracer: Tracer, operation: Any, *xs: Signal
) -> Signal | tuple[Signal, ...]:
    """Query, key and value `[batch, positions, heads, size]`, then biases and masks.

    Values as wide as queries alone: Keras takes the result to be as wide as these.
    """
    heads = [tracer.along(x, -2) for x in xs[:3]]
    apart = [x for x in heads if x is not None]
    sides = xs[3:]
    # They are `[batch, heads or 1, queries, keys]`.
    shared = all(len(x.shape) < 3 or x.shape[-3] == 1 for x in sides)
    if len(apart) < 3 or len({x.width for x in apart}) > 1 or not shared:
        tracer.leave_uncounted()
        return tracer.opaque(f"{tracer.call.path!r} compares its channels", *xs)
    query, key, value = (x.shape for x in apart)
    each = product((query[1], key[1], (query[3] or 0) + (value[3] or 0)))
    return tracer.channelwise(
        tracer.call.run, *apart, sides=sides, macs_per_channel=each
    )


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
