"""Layers that act on positions and leave the channels alone."""

from __future__ import annotations

from typing import Any

import keras

from tf_splitting.rules.registry import register
from tf_splitting.tracer import Signal, Tracer

_LAYERS = keras.layers
_POOLING = [
    getattr(_LAYERS, f"{kind}Pooling{rank}D")
    for kind in ("Max", "Average", "AdaptiveMax", "AdaptiveAverage")
    for rank in (1, 2, 3)
]
_GLOBAL = [
    getattr(_LAYERS, f"Global{kind}Pooling{rank}D")
    for kind in ("Max", "Average")
    for rank in (1, 2, 3)
]
_RESIZING = [
    getattr(_LAYERS, f"{kind}{rank}D")
    for kind in ("ZeroPadding", "Cropping", "UpSampling")
    for rank in (1, 2, 3)
] + [_LAYERS.Resizing, _LAYERS.CenterCrop]


def _channel_axis(layer: Any, x: Signal) -> int:
    if getattr(layer, "data_format", "channels_last") == "channels_first":
        return 1 - len(x.shape)
    return -1


@register(*_POOLING, *_RESIZING)
def _spatial(tracer: Tracer, layer: Any, given: Signal) -> Signal | tuple[Signal, ...]:
    x = tracer.along(given, _channel_axis(layer, given))
    if x is None:
        return tracer.opaque(f"{tracer.call.path!r} resizes the channels", given)
    return tracer.channelwise(tracer.call.run, x)


@register(*_GLOBAL, mask=True)
def _global(
    tracer: Tracer, layer: Any, given: Signal, *mask: Signal
) -> Signal | tuple[Signal, ...]:
    x = tracer.along(given, _channel_axis(layer, given))
    if x is None:
        return tracer.opaque(
            f"{tracer.call.path!r} pools over the channels", given, *mask
        )
    return tracer.channelwise(
        tracer.call.run, x, sides=mask, channel_axis=x.axis if layer.keepdims else -1
    )
