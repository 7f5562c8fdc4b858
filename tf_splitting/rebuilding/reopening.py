"""From a model whose sizes were fixed back to one that leaves them open."""

from __future__ import annotations

import keras

from tf_splitting.errors import RebuildError
from tf_splitting.rebuilding.functional import filled
from tf_splitting.rebuilding.rebuild import rebuild
from tf_splitting.support import scope_of
from tf_splitting.tracing import trace


def reopened(
    model: keras.Model, given: keras.Model, *, split_untrainable: bool = False
) -> keras.Model:
    """What the given model would be, had it become the other one with its sizes open.

    It is made of the given model's graph, never of the other's, in which numbers may
    stand for the one size that it was made for.

    Args:
        model: what became, by training and at other widths, of what `to_functional`
            made of the given one. Either has the same spaces, or widths are as they
            were.
        given: left as it was.
        split_untrainable: as `trace` takes it.

    Returns:
        A new model of the given one's inputs, and of the other's widths and weights;
        compiled, with the optimizer's state, if the other is.

    Raises:
        ModelError, RebuildError: the given model cannot be rebuilt, or has other
            variables then.
    """
    graph = trace(given, split_untrainable=split_untrainable)
    became = trace(model, split_untrainable=split_untrainable)
    widths = graph.resized({space.name: space.width for space in became.growable})
    # Of these a job makes models once what is in them changes, and they stay models.
    unfolded = graph.insides.keys() - became.insides.keys()
    with scope_of(given):
        new, _ = rebuild(given, graph, widths, arrays=became.arrays, unfolded=unfolded)
        if _shapes(new) != _shapes(model):
            raise RebuildError(
                f"Model {given.name!r} has other variables at open sizes than at fixed "
                "ones.",
                model,
            )
        return filled(model, new, list(zip(model.variables, new.variables)))


def _shapes(model: keras.Model) -> list[tuple[int, ...]]:
    return [tuple(variable.shape) for variable in model.variables]
