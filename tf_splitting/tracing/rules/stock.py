"""Layers that `keras.applications` defines for itself and does not export.

Their classes are private: `tests/tracing/rules/test_layer_contract.py` has a row for
each and fails when Keras moves them.
"""

from __future__ import annotations

from typing import Any

from keras.src.applications.convnext import LayerScale
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from tf_splitting.tracing.rules.merging import merge
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.tracer import Signal, Tracer


@register(LayerScale)
def _layer_scale(tracer: Tracer, layer: Any, x: Signal) -> Signal:
    tracer.carry(layer.gamma, 0, x, initial=layer.init_values)
    tracer.config("projection_dim", x)
    return tracer.channelwise(tracer.call.run, x, linear_part=tracer.call.run)


@register(CustomScaleLayer)
def _scaled_sum(tracer: Tracer, layer: Any, *xs: Signal) -> Signal | tuple[Signal, ...]:
    return merge(tracer, *xs, linear=True)
