"""Multiply-accumulates: what is counted, layer by layer."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import keras

from tf_splitting.costs.base import TermCost, total
from tf_splitting.errors import ModelError, SplittingWarning
from tf_splitting.tracing import ChannelGraph, Term, trace


def macs_terms(graph: ChannelGraph) -> tuple[Term, ...]:
    """The products that add up to the MACs of one example.

    Raises:
        ModelError: a spatial size is unknown.
    """
    for term in graph.terms:
        if term.factor is None:
            raise ModelError(
                f"The MACs of layer {term.layer!r} depend on a spatial size that is "
                "unknown (None). Give it to what counts, as in count_macs(model, "
                "input_shape=(224, 224, 3)) or trace(model, input_shape=...), or fix "
                "it in the model: tf_splitting.to_functional(model, batch)."
            )
    return graph.terms


def macs_of_layers(graph: ChannelGraph) -> dict[str, int]:
    """Layer path to MACs, in order of execution; a layer called twice counts twice.

    Raises:
        ModelError: a spatial size is unknown.
    """
    widths = graph.widths
    counts: dict[str, int] = {}
    for term in macs_terms(graph):
        counts[term.layer] = counts.get(term.layer, 0) + total((term,), widths)
    return counts


def macs_by_space(graph: ChannelGraph, widths: Mapping[str, int]) -> dict[str, int]:
    """What the MACs change by if one space alone gets another width.

    MACs are bilinear in neighbouring widths: where neighbours change together, this
    does not add up to what the whole changes by.

    Args:
        graph: of the model before.
        widths: afterwards; spaces that keep theirs are left out of the result.

    Raises:
        ModelError: a spatial size is unknown.
    """
    terms, before = macs_terms(graph), graph.widths
    whole = total(terms, before)
    return {
        space: total(terms, {**before, space: width}) - whole
        for space, width in widths.items()
        if width != before[space]
    }


def growable_share(graph: ChannelGraph) -> float:
    """Share of a model's MACs in layers whose MACs change with a growable width.

    Raises:
        ModelError: a spatial size is unknown.
    """
    growable = {space.name for space in graph.growable}
    terms = macs_terms(graph)
    reached = tuple(
        term
        for term in terms
        if any(b.space in growable for layout in term.layouts for b in layout)
    )
    return total(reached, graph.widths) / max(1, total(terms, graph.widths))


def macs_per_layer(model: keras.Model, input_shape: Any = None) -> dict[str, int]:
    """Multiply-accumulates of every convolution and dense layer, for one example.

    Args:
        model: a built Functional or Sequential model.
        input_shape: see `trace`; of a model that leaves sizes open.

    Returns:
        Layer path to MACs, in order of execution; a layer called twice counts twice.

    Raises:
        ModelError: the model has no graph, or a spatial size is unknown.

    Example:
        >>> macs_per_layer(model)["conv1"]
        10838016
    """
    graph = trace(model, input_shape=input_shape)
    if graph.uncounted:
        warnings.warn(
            "These layers have weights, but nothing is known about their MACs, which "
            f"count as zero: {', '.join(graph.uncounted)}. A layer of your own can "
            "describe itself with trace_channels.",
            SplittingWarning,
            stacklevel=2,
        )
    return macs_of_layers(graph)


def count_macs(model: keras.Model, input_shape: Any = None) -> int:
    """Multiply-accumulates of one example through the model.

    Convolution and dense layers count; normalization, activations and pooling count
    zero, as is usual for mobile networks (MobileNet 1.0 at 224 pixels: 0.569 G).

    Args:
        model: a built Functional or Sequential model.
        input_shape: see `trace`; of a model that leaves sizes open.

    Raises:
        ModelError: the model has no graph, or a spatial size is unknown.

    Example:
        >>> tf_splitting.count_macs(keras.applications.MobileNet(weights=None))
        568740352
    """
    return sum(macs_per_layer(model, input_shape).values())


MACS = TermCost("macs", macs_terms)
