"""Splits one layer outside a model, or removes from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras
import numpy as np

from tf_splitting.errors import ModelError
from tf_splitting.rebuilding import Gathering, Growth, moved, offsets, what_stays
from tf_splitting.selecting import RemovalPlan, SplitPlan
from tf_splitting.support import assign_copy, instance, number, one_of, whole
from tf_splitting.tracing import (
    IS_INPUT,
    IS_OUTPUT,
    ChannelGraph,
    Neurons,
    WeightUse,
    as_numpy,
    remake_layer,
    trace,
)
from tf_splitting.tracing import layout as lay

Side = Literal["produced", "consumed"]

_ENDS = {IS_INPUT, IS_OUTPUT}


def split_layer(
    layer: Any,
    neurons: Iterable[int],
    side: Side,
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
            same on both sides, a convolution in groups its groups.
        epsilon: relative step along random unit vectors, for produced channels.
        seed: seed of the directions.

    Raises:
        ModelError: it is no layer, has not been built, or nothing is known of its
            channels on this side.
        PlanError: there is no such channel.
        SplittingError: another argument is out of range.
    """
    number("epsilon", epsilon, at_least=0)
    whole("seed", seed, at_least=0)
    alone = _Alone.of(layer, side)
    plan = SplitPlan({alone.space: neurons})
    plan.check(alone.graph)
    growth = Growth.of(alone.graph, plan)
    numbered = Neurons(alone.graph)
    chosen = np.zeros(numbered.count, bool)
    numbered.of(alone.space, chosen)[:] = True
    directions = numbered.random(np.random.default_rng(seed), chosen)
    moves = offsets(growth, numbered, directions, growth.signs)
    return alone.rebuilt(
        growth,
        lambda value, use: moved(
            growth.weight(value, use), moves.get(use.name, ()), epsilon
        ),
    )


def remove_from_layer(
    layer: Any, neurons: Iterable[int], side: Side
) -> keras.layers.Layer:
    """A built copy of a built layer without some of its channels on one side.

    Args:
        layer: a layer with one input.
        neurons: channels to remove; two at least have to stay.
        side: "produced" for its output channels, "consumed" for its input channels. A
            layer that keeps channels has the same on both sides.

    Raises:
        ModelError: it is no layer, has not been built, or nothing is known of its
            channels on this side.
        PlanError: there is no such channel, or too few would stay.
    """
    alone = _Alone.of(layer, side)
    plan = RemovalPlan({alone.space: neurons})
    plan.check(alone.graph)
    left = what_stays(alone.graph, plan)
    return alone.rebuilt(left, left.weight)


@dataclass(frozen=True)
class _Alone:
    """A layer as a model of its own.

    Attributes:
        layer: as it came.
        twin: the same, with the weights that the graph knows.
        graph: of a model of it alone.
        role, space: of the channels that change.
        shape: that it was built for.
    """

    layer: Any
    twin: keras.layers.Layer
    graph: ChannelGraph
    role: str
    space: str
    shape: list[int | None]

    @classmethod
    def of(cls, layer: Any, side: Side) -> _Alone:
        """A layer, and its channels on one side.

        Raises:
            ModelError: it is no layer, has not been built, or nothing is known of its
                channels on this side.
            SplittingError: there is no such side.
        """
        expected = "a built Keras layer"
        instance("layer", layer, keras.layers.Layer, expected, error=ModelError)
        one_of("side", side, ("produced", "consumed"))
        if isinstance(layer, keras.Model):
            raise ModelError(
                f"Got model {layer.name!r}; expected a single layer. Change a model "
                "with tf_splitting.split and tf_splitting.remove."
            )
        if not layer.built:
            raise ModelError(
                f"Layer {layer.name!r} has not been built: its weights do not exist "
                "yet. Call it once, or call layer.build(input_shape)."
            )
        shape = _input_shape(layer)
        twin = remake_layer(layer, {}, type(layer))
        inputs = keras.Input(batch_shape=tuple(shape))
        graph = trace(keras.Model(inputs, twin(inputs)), split_untrainable=True)
        twin.set_weights(layer.get_weights())
        # Alone, both ends are those of a model and so frozen: here they change.
        freed = (
            replace(space, frozen=None) if space.frozen in _ENDS else space
            for space in graph.spaces
        )
        graph = replace(graph, spaces=tuple(freed))
        role, space = _side(graph, layer, side)
        return cls(layer, twin, graph, role, space, shape)

    def rebuilt(
        self,
        gathering: Gathering,
        weight: Callable[[np.ndarray, WeightUse], np.ndarray],
    ) -> keras.layers.Layer:
        """The layer at other widths.

        Args:
            gathering: says which.
            weight: what becomes of a weight: `(value, use) -> value`.
        """
        widths = gathering.new_widths
        changes = {use.key: lay.size(use.layout, widths) for use in self.graph.configs}
        rebuilt = remake_layer(self.layer, changes, type(self.layer))
        shape = list(self.shape)
        if self.role != "produced":
            axis = _channel_axis(self.layer)
            length = self.shape[axis]
            assert length is not None
            # Of a convolution in groups a neuron is several channels.
            each = length // self.graph.widths[self.space]
            shape[axis] = each * widths[self.space]
        rebuilt.build(tuple(shape))
        uses = {id(use.variable): use for use in self.graph.weights}
        for old, new in zip(self.twin.weights, rebuilt.weights, strict=True):
            use, value = uses.get(id(old)), as_numpy(old)
            assign_copy(new, value if use is None else weight(value, use))
        return rebuilt


def _input_shape(layer: Any) -> list[int | None]:
    """The shape that a layer was built for."""
    shape = (layer.get_build_config() or {}).get("input_shape")
    if not shape or not all(n is None or isinstance(n, int) for n in shape):
        raise ModelError(
            f"Layer {layer.name!r} of type {type(layer).__name__} was built for inputs "
            f"of shape {shape}; expected a layer with weights and one input. Others "
            "have no channels of their own."
        )
    return list(shape)


def _side(graph: ChannelGraph, layer: Any, side: str) -> tuple[str, str]:
    """`(role, space)` of a side's channels: carried by layers that only keep them."""
    uses = [use for weight in graph.weights for use in weight.axes]
    changing = {space.name for space in graph.growable}
    for role in (side, "carried"):
        for use in uses:
            if use.role == role and use.layout[0].space in changing:
                return role, use.layout[0].space
    raise ModelError(
        f"Nothing is known of the {side} channels of layer {layer.name!r} of type "
        f"{type(layer).__name__}; expected a layer that tf_splitting can change. It "
        "can describe itself with trace_channels."
    )


def _channel_axis(layer: Any) -> int:
    """The axis of its input along which a layer's channels lie."""
    if getattr(layer, "data_format", None) == "channels_first":
        return 1
    axis = getattr(layer, "axis", -1)
    return axis if isinstance(axis, int) else -1
