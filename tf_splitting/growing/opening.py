"""Gives a model the graph that jobs need, where that can be done, and takes it back.

Jobs work on one size, which costs depend on, and layers that read it. What comes out is
as open as what went in, unless a layer can only be rebuilt for that size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tf_splitting.data import first_batch, is_arrays
from tf_splitting.errors import ModelError, SplittingError
from tf_splitting.growing.checks import split_everywhere
from tf_splitting.layers import is_splittable, to_plain
from tf_splitting.rebuilding import own_methods, reopened, to_functional
from tf_splitting.tracing import ChannelGraph, flatten, has_graph, trace


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


def hand_out(
    given: keras.Model,
    model: keras.Model,
    graph: ChannelGraph,
    *,
    split_untrainable: bool,
) -> Callable[[keras.Model], keras.Model]:
    """What makes of a job's results what its user gets.

    That is a model of plain Keras layers, whose sizes are open where those of the given
    model are, if that can be done. It is known before the job begins.

    Args:
        given: what the job is started with.
        model: what `with_graph` made of it.
        graph: its trace.
        split_untrainable: as the job's.
    """
    opens = was_fixed(given, model) and _grows_open(
        given, model, graph, split_untrainable=split_untrainable
    )

    def handed_out(result: keras.Model) -> keras.Model:
        if opens:
            result = reopened(result, given, split_untrainable=split_untrainable)
        return to_plain(result) if is_splittable(result) else result

    return handed_out


def was_fixed(given: keras.Model, model: keras.Model) -> bool:
    """Whether `with_graph` made a model of a given one by fixing its sizes."""
    return model is not given and has_graph(given)


def can_reopen(
    model: keras.Model, given: keras.Model, *, split_untrainable: bool = False
) -> bool:
    """Whether `reopened` can be called with these, and later with a model as wide.

    Args:
        model, given, split_untrainable: as `reopened` takes them.
    """
    try:
        reopened(model, given, split_untrainable=split_untrainable)
    except SplittingError:
        return False
    return True


def _grows_open(
    given: keras.Model,
    model: keras.Model,
    graph: ChannelGraph,
    *,
    split_untrainable: bool,
) -> bool:
    """Whether all that can grow can do so while sizes are open."""
    untrainable = split_untrainable
    if not trace(given, split_untrainable=untrainable).fits(graph):
        return False
    wider = split_everywhere(model, graph, split_untrainable=untrainable)
    return can_reopen(wider, given, split_untrainable=untrainable)


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
