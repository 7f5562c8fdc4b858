"""`trace`: from a Keras model to its channel graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tf_splitting.support import truth
from tf_splitting.tracing.following import ModelTracer
from tf_splitting.tracing.graph import ChannelGraph
from tf_splitting.tracing.keras_graph import FlatGraph, calls_of
from tf_splitting.tracing.rules.registry import describe, is_known


def flatten(model: keras.Model, input_shape: Any = None) -> FlatGraph:
    """Lists every call of a built Functional or Sequential model.

    Layers that describe themselves are listed; others are looked into where that can
    be done, and listed where it cannot. `input_shape` is as `trace` takes it.

    Raises:
        ModelError: it is no model, is subclassed (it has no graph), is not built, or
            does not take inputs of that shape.
    """
    return calls_of(model, is_known, input_shape)


def trace(
    model: keras.Model, *, split_untrainable: bool = False, input_shape: Any = None
) -> ChannelGraph:
    """Finds the channel spaces of a model: what may grow, and what is tied to what.

    The model is only read, never called or changed.

    Args:
        model: a built Functional or Sequential Keras model. It need not be compiled.
        split_untrainable: whether neurons made by layers with `trainable=False` may
            be split too; they are frozen otherwise.
        input_shape: sizes of the input, without the batch's, for a model that leaves
            some open, such as `(224, 224, 3)`: costs depend on them. Of a model with
            several inputs, in the structure of `model.input`.

    Returns:
        A `ChannelGraph`; `.spaces` lists the channel spaces, `print` shows a table.

    Raises:
        ModelError: it is no model, is subclassed, has not been built, or does not take
            inputs of that shape.
        SplittingError: `split_untrainable` is neither True nor False.

    Example:
        >>> graph = tf_splitting.trace(keras.applications.MobileNet(weights=None))
        >>> graph.spaces[1].name, graph.spaces[1].width
        ('conv1', 32)
    """
    flat = flatten(model, input_shape)
    untrainable = truth("split_untrainable", split_untrainable)
    choices: dict[str, int] = {}
    graph, frozen = _followed(flat, model.name, untrainable, choices)
    choice = 1
    # Where heads cannot grow, what is in each may.
    while any(choice < count for count in frozen.values()):
        others = {path: choice for path, count in frozen.items() if choice < count}
        _, still = _followed(flat, model.name, untrainable, choices | others)
        others = {path: choice for path in others if path not in still}
        if others:
            tried = choices | others
            other, left = _followed(flat, model.name, untrainable, tried)
            grows, then = ({space.name for space in g.growable} for g in (graph, other))
            if grows < then:
                graph, frozen, choices = other, left, tried
        choice += 1
    return graph


def _followed(
    flat: FlatGraph, name: str, untrainable: bool, choices: Mapping[str, int]
) -> tuple[ChannelGraph, dict[str, int]]:
    """The graph, and the calls that may have their channels on another of some axes."""
    tracer = ModelTracer(flat, split_untrainable=untrainable, choices=choices)
    graph = tracer.follow(describe, name)
    return graph, tracer.frozen_choices
