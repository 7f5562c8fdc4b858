"""Embeddings that language models call once more at their end, to make logits."""

from __future__ import annotations

from typing import Any

from keras import ops

from tf_splitting.tracing.rules.dense import embed
from tf_splitting.tracing.rules.newer import existing_layers
from tf_splitting.tracing.rules.refusal import readable
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.sizes import product
from tf_splitting.tracing.tracer import Signal, Tracer


@register(*existing_layers(["ReversibleEmbedding"]), any_arguments=True)
def _reversible(
    tracer: Tracer, layer: Any, given: Signal
) -> Signal | tuple[Signal, ...]:
    # A split copies what a neuron is made of and shares out what reads it, which one
    # table cannot do at once.
    tied = f"{tracer.call.path!r} makes and reads its channels with the same weights"
    if True not in tracer.call.extras:
        u = embed(tracer, layer, given)
        if layer.tie_weights and isinstance(u, Signal):
            tracer.freeze(u, tied)
        return u
    x = readable(tracer, layer, given, -1)
    if layer.tie_weights or isinstance(x, str):
        macs = product((*given.shape[1:], tracer.output_shape[-1]))
        reason = x if isinstance(x, str) else tied
        return tracer.opaque(reason, given, macs=macs)
    dtype = layer.reverse_dtype or layer.compute_dtype

    def to_logits(x: Any, kernel: Any) -> Any:
        return ops.matmul(ops.cast(x, dtype), ops.cast(kernel, dtype))

    u = tracer.linear(x, layer.reverse_embeddings, to_logits)
    # What comes in at the end is as wide as what went out at first.
    tracer.config("output_dim", x)
    tracer.freeze(u, f"{tracer.call.path!r} has one for every word")
    cap = layer.logit_soft_cap
    if cap is None:
        return u

    def capped(x: Any) -> Any:
        return ops.tanh(x / cap) * cap

    return tracer.channelwise(capped, u, activation=capped)
