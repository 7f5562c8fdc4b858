"""Gives a model the graph that jobs need, where that can be done."""

from __future__ import annotations

from typing import Any

import keras

from tf_splitting.data import first_batch, is_arrays
from tf_splitting.errors import ModelError
from tf_splitting.rebuilding import own_methods, to_functional
from tf_splitting.tracing import flatten, has_graph, trace


def with_graph(model: Any, dataset: Any) -> Any:
    """The model, or a Functional one in its place that says more of what it computes.

    Of a subclassed model one is made. Of one that leaves sizes open, such as the length
    of a text, if layers in it are closed or costs unknown because of that and all of
    the dataset has one size. Anything else comes back as it is, to be checked by
    others.

    Args:
        model: what a job is started with.
        dataset: what it is trained on.

    Raises:
        DataError: the dataset is empty or of another kind.
        ModelError: the subclassed model cannot be made Functional, or trains in a way
            of its own.
    """
    if not isinstance(model, keras.Model):
        return model
    if has_graph(model):
        if not (_is_open(model) and _has_one_size(dataset)):
            return model
        return to_functional(model, first_batch(dataset).x)
    lost = own_methods(model)
    if lost:
        raise ModelError(
            f"Model {model.name!r} is a {type(model).__name__} with its own "
            f"{', '.join(lost)}, which a Functional model in its place would not have. "
            "Rebuild it as keras.Model(inputs, outputs), or make it Functional by "
            "tf_splitting.to_functional to do without."
        )
    x = first_batch(dataset).x
    if not model.built:
        # As `fit` does.
        model(keras.tree.map_structure(lambda array: array[:1], x))
    return to_functional(model, x)


def _is_open(model: keras.Model) -> bool:
    """Whether sizes of inputs are open that layers or costs depend on."""
    if not model.built or all(None not in t.shape[1:] for t in model.inputs):
        return False
    unknown = any(term.factor is None for term in trace(model).terms)
    return unknown or any(call.closed for call in flatten(model).calls)


def _has_one_size(dataset: Any) -> bool:
    """Whether all examples are known to be of one size."""
    # Image sets are resized to one.
    if is_arrays(dataset) or hasattr(dataset, "epoch_dataset"):
        return True
    spec = getattr(dataset, "element_spec", None)
    if not isinstance(spec, tuple):
        return False
    shapes = [each.shape for each in keras.tree.flatten(spec[0])]
    return all(shape.rank is not None and None not in shape[1:] for shape in shapes)
