"""Layers that act on positions and leave the channels alone."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tf_splitting.tracing.keras_internals import operation_types
from tf_splitting.tracing.rules.newer import existing_layers
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.tracer import Signal, Tracer

_LAYERS = keras.layers


def _of_all_ranks(*names: str) -> list[type]:
    return existing_layers(f"{name}{n}D" for name in names for n in (1, 2, 3))


_LINEAR = [
    *_of_all_ranks("ZeroPadding", "Cropping", "UpSampling"),
    *_of_all_ranks("AveragePooling", "AdaptiveAveragePooling"),
    _LAYERS.CenterCrop,
]
_OTHERS = [*_of_all_ranks("MaxPooling", "AdaptiveMaxPooling"), _LAYERS.Resizing]
# The same as raw operations; those on images take four axes, or else no batch.
_POOLS = [
    *operation_types(lambda x: ops.average_pool(x, 2)),
    *operation_types(lambda x: ops.max_pool(x, 2)),
]
_RAW_LINEAR = [
    _POOLS[0],
    *operation_types(lambda x: ops.image.crop_images(x, 0, 0, 1, 1)),
    *operation_types(lambda x: ops.image.pad_images(x, 0, 0, 3, 3)),
]
_RAW = [
    *_RAW_LINEAR,
    _POOLS[1],
    *operation_types(lambda x: ops.image.resize(x, (3, 3))),
]
_AVERAGES = _of_all_ranks("GlobalAveragePooling")
_MAXIMA = _of_all_ranks("GlobalMaxPooling")


def _channel_axis(layer: Any, x: Signal) -> int:
    if getattr(layer, "data_format", "channels_last") == "channels_first":
        return 1 - len(x.shape)
    return -1


@register(*_LINEAR, *_OTHERS)
def _spatial(tracer: Tracer, layer: Any, given: Signal) -> Signal | tuple[Signal, ...]:
    x = tracer.along(given, _channel_axis(layer, given))
    if x is None:
        return tracer.opaque(f"{tracer.call.path!r} resizes the channels", given)
    run = tracer.call.run
    linear_part = run if type(layer) in _LINEAR else None
    return tracer.channelwise(run, x, linear_part=linear_part)


@register(*_RAW)
def _raw(tracer: Tracer, operation: Any, given: Signal) -> Signal | tuple[Signal, ...]:
    x = tracer.along(given, _channel_axis(operation, given))
    path = tracer.call.path
    if x is None:
        return tracer.opaque(f"{path!r} resizes the channels", given)
    if len(x.shape) != 4 and type(operation) not in _POOLS:
        return tracer.opaque(f"{path!r} resizes the batch", given)
    run = tracer.call.run
    linear_part = run if type(operation) in _RAW_LINEAR else None
    return tracer.channelwise(run, x, linear_part=linear_part)


@register(*_AVERAGES, *_MAXIMA, mask=True)
def _global(
    tracer: Tracer, layer: Any, given: Signal, *mask: Signal
) -> Signal | tuple[Signal, ...]:
    x = tracer.along(given, _channel_axis(layer, given))
    if x is None:
        return tracer.opaque(
            f"{tracer.call.path!r} pools over the channels", given, *mask
        )
    run = tracer.call.run
    return tracer.channelwise(
        run,
        x,
        sides=mask,
        channel_axis=x.axis if layer.keepdims else -1,
        linear_part=run if type(layer) in _AVERAGES else None,
    )
