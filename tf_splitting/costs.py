"""What a model costs at any widths: MACs, parameters, or a user's function.

A cost is a function `cost(graph, widths) -> float` that never falls when a width
grows. MACs and parameters are sums of products of axis lengths (`Term`), so that a
marginal cost only looks at the products that a space takes part in.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras

from tf_splitting.arguments import instance, one_of
from tf_splitting.errors import ModelError, SplittingWarning
from tf_splitting.graph import ChannelGraph, Term
from tf_splitting.layout import size
from tf_splitting.tracing import trace

Cost = Callable[[ChannelGraph, Mapping[str, int]], float]


def macs_terms(graph: ChannelGraph) -> tuple[Term, ...]:
    """The products that add up to the MACs of one example.

    Raises:
        ModelError: a spatial size is unknown.
    """
    for term in graph.terms:
        if term.factor is None:
            raise ModelError(
                f"The MACs of layer {term.layer!r} depend on a spatial size that is "
                "unknown (None). Build the model with a fixed input size, for example "
                "keras.Input((224, 224, 3))."
            )
    return graph.terms


def params_terms(graph: ChannelGraph) -> tuple[Term, ...]:
    """The products that add up to the parameters in weights that can change size."""
    terms = []
    for weight in graph.weights:
        lengths = {
            use.axis: (weight.variable.shape[use.axis], use.layout)
            for use in weight.axes
        }
        fixed = math.prod(weight.variable.shape) // math.prod(
            length for length, _ in lengths.values()
        )
        layouts = tuple(layout for _, layout in lengths.values())
        terms.append(Term(weight.name, fixed, layouts))
    return tuple(terms)


def total(terms: tuple[Term, ...], widths: Mapping[str, int]) -> int:
    """Sum of the products at these widths."""
    return sum(
        term.factor * math.prod(size(layout, widths) for layout in term.layouts)
        for term in terms
    )


class TermCost:
    """A cost that is a sum of products; knows which products a space is in."""

    def __init__(
        self, name: str, terms_of: Callable[[ChannelGraph], tuple[Term, ...]]
    ) -> None:
        self.name = name
        self._terms_of = terms_of

    def __call__(self, graph: ChannelGraph, widths: Mapping[str, int]) -> float:
        return total(self._terms_of(graph), widths)

    def terms(self, graph: ChannelGraph) -> tuple[Term, ...]:
        """Its products, for selection to compute marginal costs from."""
        return self._terms_of(graph)


COSTS: dict[str, TermCost] = {
    "macs": TermCost("macs", macs_terms),
    "params": TermCost("params", params_terms),
}


def get_cost(cost: str | Cost) -> Cost:
    """A cost from its name, or the function itself.

    Raises:
        UnknownNameError: no cost has this name.
    """
    if callable(cost):
        return cost
    otherwise = " or a function cost(graph, widths) -> float"
    return COSTS[one_of("cost", cost, COSTS, otherwise)]


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


def macs_per_layer(model: keras.Model) -> dict[str, int]:
    """Multiply-accumulates of every convolution and dense layer, for one example.

    Args:
        model: a built Functional or Sequential model.

    Returns:
        Layer path to MACs, in order of execution; a layer called twice counts twice.

    Raises:
        ModelError: the model has no graph, or a spatial size is unknown.

    Example:
        >>> macs_per_layer(model)["conv1"]
        10838016
    """
    graph = trace(model)
    if graph.uncounted:
        warnings.warn(
            "These layers have weights, but nothing is known about their MACs, which "
            f"count as zero: {', '.join(graph.uncounted)}. A layer of your own can "
            "describe itself with trace_channels.",
            SplittingWarning,
            stacklevel=2,
        )
    widths = graph.widths
    counts: dict[str, int] = {}
    for term in macs_terms(graph):
        counts[term.layer] = counts.get(term.layer, 0) + total((term,), widths)
    return counts


def count_macs(model: keras.Model) -> int:
    """Multiply-accumulates of one example through the model.

    Convolution and dense layers count; normalization, activations and pooling count
    zero, as is usual for mobile networks (MobileNet 1.0 at 224 pixels: 0.569 G).

    Args:
        model: a built Functional or Sequential model.

    Raises:
        ModelError: the model has no graph, or a spatial size is unknown.

    Example:
        >>> tf_splitting.count_macs(keras.applications.MobileNet(weights=None))
        568740352
    """
    return sum(macs_per_layer(model).values())


def params_per_layer(model: keras.Model) -> dict[str, int]:
    """Number of weights of every layer that has any, by name, nested models inside.

    Raises:
        ModelError: it is no model, or has not been built.
    """
    _check_built(model)
    counts: dict[str, int] = {}

    def visit(layers: list[Any], prefix: str) -> None:
        for layer in layers:
            path = prefix + layer.name
            if isinstance(layer, keras.Model):
                visit(layer.layers, path + "/")
            elif layer.weights:
                counts[path] = layer.count_params()

    visit(model.layers, "")
    return counts


def count_params(model: keras.Model) -> int:
    """Number of weights of the model, trainable or not (`model.count_params()`).

    Raises:
        ModelError: it is no model, or has not been built.

    Example:
        >>> tf_splitting.count_params(keras.applications.MobileNet(weights=None))
        4253864
    """
    _check_built(model)
    return model.count_params()


def _check_built(model: keras.Model) -> None:
    instance("model", model, keras.Model, "a built keras.Model", error=ModelError)
    if not model.built:
        raise ModelError(
            f"Model {model.name!r} has not been built: give it an input shape."
        )
