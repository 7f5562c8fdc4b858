"""A layer that is called on every step of a sequence, such as each frame of a video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tf_splitting.tracing.keras_internals import has_graph
from tf_splitting.tracing.rules.registry import describe, register, resizes
from tf_splitting.tracing.tracer import Signal, Tracer


@register(keras.layers.TimeDistributed)
def _time_distributed(
    tracer: Tracer, layer: keras.layers.TimeDistributed, x: Signal
) -> Signal | tuple[Signal, ...]:
    path, inner = tracer.call.path, layer.layer
    if has_graph(inner):
        tracer.leave_uncounted()
        return tracer.opaque(f"{path!r} calls a model at every step", x)
    if x.axis % len(x.shape) == 1:
        tracer.leave_uncounted()
        return tracer.opaque(f"{path!r} takes its channels one by one", x)
    with tracer.step_by_step(inner, x) as step:
        result = describe(tracer, inner, [step])
    return result


@resizes(keras.layers.TimeDistributed)
def _resized(layer: Any, changes: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    told = layer.get_config()["layer"]
    changed = changes.get(id(layer.layer), {})
    config = {**told["config"], **changed}
    rest = {key: value for key, value in told.items() if key != "build_config"}
    return {"layer": {**rest, "config": config}}
