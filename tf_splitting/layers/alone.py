"""Splits one layer outside a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

import keras
import numpy as np

from tf_splitting.errors import ModelError
from tf_splitting.rebuilding import Growth, moved, offsets
from tf_splitting.selecting import SplitPlan
from tf_splitting.support import instance, number, one_of, whole
from tf_splitting.tracing import ChannelGraph, Neurons, as_numpy, remake_layer, trace
from tf_splitting.tracing import layout as lay


def split_layer(
    layer: Any,
    neurons: Iterable[int],
    side: Literal["produced", "consumed"],
    *,
    epsilon: float = 0.0,
    seed: int = 0,
) -> keras.layers.Layer:
    """A built copy of a built layer with some of its channels on one side split.

    Args:
        layer: a layer with one input.
        neurons: channels to split; copies are appended.
        side: "produced" for its output channels, "consumed" for its input channels
            (the copies are read at half weight). A layer that keeps channels has the
            same on both sides.
        epsilon: relative step along random unit vectors, for produced channels.
        seed: seed of the directions.

    Raises:
        ModelError: it is no layer, has not been built, or nothing is known of its
            channels on this side.
        PlanError: there is no such channel.
        SplittingError: another argument is out of range.
    """
    instance(
        "layer", layer, keras.layers.Layer, "a built Keras layer", error=ModelError
    )
    one_of("side", side, ("produced", "consumed"))
    number("epsilon", epsilon, at_least=0)
    whole("seed", seed, at_least=0)
    if isinstance(layer, keras.Model):
        raise ModelError(
            f"Got model {layer.name!r}; expected a single layer. Split a model with "
            "tf_splitting.split."
        )
    if not layer.built:
        raise ModelError(
            f"Layer {layer.name!r} has not been built: its weights do not exist yet. "
            "Call it once, or call layer.build(input_shape)."
        )
    shape = _input_shape(layer)
    twin = remake_layer(layer, {}, type(layer))
    inputs = keras.Input(batch_shape=tuple(shape))
    graph = trace(keras.Model(inputs, twin(inputs)), split_untrainable=True)
    twin.set_weights(layer.get_weights())
    # Alone, both ends are ends of a model and so frozen: here they are what is split.
    graph = replace(
        graph, spaces=tuple(replace(space, frozen=None) for space in graph.spaces)
    )
    role, space = _side(graph, layer, side)
    plan = SplitPlan({space: neurons})
    plan.check(graph)
    growth = Growth.of(graph, plan)
    numbered = Neurons(graph)
    chosen = np.zeros(numbered.count, bool)
    numbered.of(space, chosen)[:] = True
    directions = numbered.random(np.random.default_rng(seed), chosen)
    moves = offsets(growth, numbered, directions, growth.signs)
    changes = {
        use.key: lay.size(use.layout, growth.new_widths) for use in graph.configs
    }
    grown = remake_layer(layer, changes, type(layer))
    if role != "produced":
        shape[_channel_axis(layer)] = growth.new_widths[space]
    grown.build(tuple(shape))
    uses = {id(weight.variable): weight for weight in graph.weights}
    for old, new in zip(twin.weights, grown.weights, strict=True):
        use = uses.get(id(old))
        value = as_numpy(old)
        if use is not None:
            value = moved(growth.weight(value, use), moves.get(use.name, ()), epsilon)
        new.assign(value)
    return grown


def _input_shape(layer: Any) -> list[int | None]:
    """The shape that a layer was built for."""
    shape = (layer.get_build_config() or {}).get("input_shape")
    if not shape or not all(n is None or isinstance(n, int) for n in shape):
        raise ModelError(
            f"Layer {layer.name!r} of type {type(layer).__name__} was built for inputs "
            f"of shape {shape}; expected a layer with weights and one input. Others "
            "have no channels to split."
        )
    return list(shape)


def _side(graph: ChannelGraph, layer: Any, side: str) -> tuple[str, str]:
    """`(role, space)` of a side's channels: carried by layers that only keep them."""
    uses = [use for weight in graph.weights for use in weight.axes]
    for role in (side, "carried"):
        for use in uses:
            if use.role == role:
                return role, use.layout[0].space
    raise ModelError(
        f"Nothing is known of the {side} channels of layer {layer.name!r} of type "
        f"{type(layer).__name__}; expected a layer that tf_splitting can split. It can "
        "describe itself with trace_channels."
    )


def _channel_axis(layer: Any) -> int:
    """The axis of its input along which a layer's channels lie."""
    if getattr(layer, "data_format", None) == "channels_first":
        return 1
    axis = getattr(layer, "axis", -1)
    return axis if isinstance(axis, int) else -1
