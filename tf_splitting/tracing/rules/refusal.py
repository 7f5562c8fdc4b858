"""Why a layer with a kernel cannot be described, whatever its type."""

from __future__ import annotations

from typing import Any

from tf_splitting.tracing.tracer import Signal, Tracer


def altered(tracer: Tracer, layer: Any) -> str | None:
    """The reason if a layer's weights are not all that it computes with."""
    if getattr(layer, "lora_enabled", False) or layer.quantization_mode is not None:
        return f"{tracer.call.path!r} is quantized or uses LoRA"
    return None


def readable(tracer: Tracer, layer: Any, given: Signal, axis: int) -> Signal | str:
    """The input along the axis that a layer mixes, or why it cannot be described."""
    reason = altered(tracer, layer)
    if reason is not None:
        return reason
    x = tracer.along(given, axis)
    if x is None:
        return f"{tracer.call.path!r} mixes an axis that is not the channels"
    return x
