"""`scale`: the same proportions at another size, untrained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tf_splitting.costs import get_cost
from tf_splitting.errors import BudgetError, ModelError
from tf_splitting.rebuilding.rebuild import rebuild
from tf_splitting.support import (
    assign_copy,
    copy_compile_settings,
    number,
    scope_of,
    whole,
)
from tf_splitting.tracing import ChannelGraph, leaf_layers, trace

# Widths are whole numbers: a factor is near enough after so many halvings.
_HALVINGS = 40
# Of the model's MACs. Nobody means more, and it would not fit anywhere.
_LARGEST = 10_000


def scale(
    model: keras.Model,
    *,
    target_macs: float,
    width_multiple: int = 1,
    input_shape: Any = None,
) -> keras.Model:
    """A model with all widths times one factor, as large as a budget allows, untrained.

    What growth is to be compared with: the same architecture without having learned
    where neurons are worth most. Layers that do not train, such as an adapted
    `Normalization`, keep their values; all others start anew.

    Args:
        model: a built Functional or Sequential model. It is left as it was.
        target_macs: multiply-accumulates per example that the result may have.
        width_multiple: widths that change are multiples of this.
        input_shape: sizes that MACs are counted at, see `trace`; of a model that leaves
            some open. They stay open.

    Returns:
        A model of the same structure and layer names, compiled if `model` is. Spaces
        that cannot grow keep their width.

    Raises:
        BudgetError: no factor brings the model below the target, or that is more than
            10,000 times what the model has.
        ModelError: the model has no graph, an initializer that fits one shape only, or
            layers that cannot be scaled while sizes are open.
        SplittingError: an argument is out of range.

    Example:
        >>> baseline = tf_splitting.scale(seed, target_macs=2e8)
        >>> tf_splitting.train(baseline, ds, training_epochs=10)
    """
    target = number("target_macs", target_macs, above=0)
    whole("width_multiple", width_multiple, at_least=1)
    graph = trace(model)
    sized = graph if input_shape is None else trace(model, input_shape=input_shape)
    if not graph.fits(sized):
        raise ModelError(
            f"Layers of model {model.name!r} read sizes that it leaves open, and "
            "cannot be scaled before these are known. Fix them: "
            "tf_splitting.to_functional(model, batch)."
        )
    widths = _widest(sized, target, width_multiple)
    with scope_of(model):
        new, pairs = rebuild(model, graph, widths, initialized=True)
        kept = _untrained(model)
        for old, variable in pairs:
            if id(old) in kept:
                assign_copy(variable, old)
        if model.compiled:
            copy_compile_settings(model, new)
    return new


def _widest(graph: ChannelGraph, target: float, multiple: int) -> dict[str, int]:
    """Widths by the largest factor that the budget allows.

    Raises:
        BudgetError: none does.
    """
    macs = get_cost("macs")
    own = macs(graph, graph.widths)

    def scaled(factor: float) -> dict[str, int]:
        changed = {
            space.name: max(1, round(space.width * factor / multiple)) * multiple
            for space in graph.growable
        }
        return {**graph.widths, **changed}

    def fits(widths: Mapping[str, int]) -> bool:
        return macs(graph, widths) <= target

    if target > _LARGEST * own:
        raise BudgetError(
            f"Got target_macs={target:g}, but model {graph.name!r} has {own:g} MACs. "
            f"Expected at most {_LARGEST:,} times as many."
        )
    low, high = 0.0, 1.0
    if not fits(scaled(low)):
        raise BudgetError(
            f"Got target_macs={target:g}, but model {graph.name!r} has "
            f"{macs(graph, scaled(low)):g} MACs with {multiple} neurons in every layer "
            "that can change. Give a larger target."
        )
    while graph.growable and fits(scaled(high)):
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(scaled(middle)) else (low, middle)
    return scaled(low)


def _untrained(model: keras.Model) -> set[int]:
    """Variables, by `id`, of layers none of whose weights trains."""
    return {
        id(variable)
        for layer in leaf_layers(model)
        if not layer.trainable_weights
        for variable in layer.variables
    }
