"""Parameters: the weights of a model."""

from __future__ import annotations

import math
from typing import Any

import keras

from tf_splitting.costs.base import TermCost
from tf_splitting.errors import ModelError
from tf_splitting.support import instance
from tf_splitting.tracing import ChannelGraph, Term


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


PARAMS = TermCost("params", params_terms)
