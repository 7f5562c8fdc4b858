"""Splits one layer outside a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

import keras
import numpy as np

from tf_splitting import layout as lay
from tf_splitting.cloning import remake_layer
from tf_splitting.errors import ModelError
from tf_splitting.growth import Growth, moved, offsets
from tf_splitting.neurons import Neurons, as_numpy
from tf_splitting.plan import SplitPlan
from tf_splitting.tracing import trace


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
        ModelError: the layer has not been built.
        PlanError: there is no such channel.
    """
    if not layer.built:
        raise ModelError(
            f"Layer {layer.name!r} has not been built: its weights do not exist yet. "
            "Call it once, or call layer.build(input_shape)."
        )
    shape = layer.get_build_config()["input_shape"]
    twin = remake_layer(layer, {}, type(layer))
    inputs = keras.Input(batch_shape=shape)
    graph = trace(keras.Model(inputs, twin(inputs)))
    twin.set_weights(layer.get_weights())
    # Alone, both ends are ends of a model and so frozen: here they are what is split.
    graph = replace(
        graph, spaces=tuple(replace(space, frozen=None) for space in graph.spaces)
    )
    space = graph.spaces[-1 if side == "produced" else 0]
    plan = SplitPlan({space.name: neurons})
    plan.check(graph)
    growth = Growth.of(graph, plan)
    numbered = Neurons(graph)
    chosen = np.zeros(numbered.count, bool)
    numbered.of(space.name, chosen)[:] = True
    directions = numbered.random(np.random.default_rng(seed), chosen)
    moves = offsets(growth, numbered, directions)
    changes = {
        use.key: lay.size(use.layout, growth.new_widths) for use in graph.configs
    }
    grown = remake_layer(layer, changes, type(layer))
    if space is graph.spaces[0]:
        shape = (*shape[:-1], growth.new_widths[space.name])
    grown.build(shape)
    uses = {id(weight.variable): weight for weight in graph.weights}
    for old, new in zip(twin.weights, grown.weights, strict=True):
        use = uses.get(id(old))
        value = as_numpy(old)
        if use is not None:
            value = moved(growth.weight(value, use), moves.get(use.name, ()), epsilon)
        new.assign(value)
    return grown
