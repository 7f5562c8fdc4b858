"""Layers that do nothing to a channel in inference mode, or scale all by one number."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.tracer import Signal, Tracer


@register(
    keras.layers.Identity,
    keras.layers.ActivityRegularization,
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.RandomContrast,
    keras.layers.RandomBrightness,
)
def _identity(tracer: Tracer, layer: Any, x: Signal) -> Signal:
    return tracer.channelwise(tracer.call.run, x, linear_part=lambda change: change)


@register(keras.layers.Rescaling)
def _rescaling(
    tracer: Tracer, layer: keras.layers.Rescaling, x: Signal
) -> Signal | tuple[Signal, ...]:
    if np.ndim(layer.scale) or np.ndim(layer.offset):
        return tracer.opaque(
            f"{tracer.call.path!r} scales every channel by a number of its own", x
        )
    return tracer.channelwise(
        tracer.call.run, x, linear_part=lambda change: change * layer.scale
    )
