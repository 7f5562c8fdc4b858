"""`remove`: a smaller model without some neurons."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tf_splitting.data import Sample, draw_sample
from tf_splitting.errors import PlanError
from tf_splitting.estimating import flat_inputs
from tf_splitting.rebuilding.folding import folded
from tf_splitting.rebuilding.gathering import Gathering
from tf_splitting.rebuilding.optimizer_state import (
    OPTIMIZER_STATES,
    OptimizerState,
    carry_optimizer_state,
)
from tf_splitting.rebuilding.rebuild import rebuild
from tf_splitting.rebuilding.twins import Heirs, handed_on, heirs
from tf_splitting.rebuilding.verification import check_function, check_widths
from tf_splitting.selecting import RemovalPlan
from tf_splitting.support import (
    assign_copy,
    copy_compile_settings,
    instance,
    one_of,
    scope_of,
    whole,
)
from tf_splitting.tracing import ChannelGraph, as_numpy, trace
from tf_splitting.tracing import layout as lay

DEFAULT_MEANS_SIZE = 1024


def remove(
    model: keras.Model,
    plan: RemovalPlan,
    *,
    dataset: Any = None,
    sample_size: int = DEFAULT_MEANS_SIZE,
    seed: int = 0,
    verify: Any = None,
    split_untrainable: bool = False,
    optimizer_state: OptimizerState = "carry",
) -> keras.Model:
    """Removes neurons: a smaller model that computes what the others did before.

    A neuron goes with all that is its own: incoming and outgoing weights,
    normalization, depthwise kernels. Its mean output stays, if a dataset is given to
    measure it on: it is added to the biases of the layers that read it, or taken from
    the moving mean of the batch normalization behind. Without one the outputs are those
    of the old model with the neurons' outgoing weights at zero. A neuron that has a
    twin among those that stay, a copy that has not moved away, hands its outgoing
    weights to it, and nothing is lost.

    Args:
        model: a built Functional or Sequential model. It is left as it was.
        plan: which neurons go, by channel space (see `trace`).
        dataset: what `model.fit` takes; None: mean outputs are lost.
        sample_size: number of examples that mean outputs are taken over.
        seed: seed of their draw.
        verify: a batch of inputs on which the smaller model is compared with the model
            whose removed neurons are silenced. That its widths and MACs are as planned
            is always checked.
        split_untrainable: whether the plan may remove neurons made by layers with
            `trainable=False`.
        optimizer_state: of a compiled model: "carry" that of the neurons that stay
            over ("old" is the same), or "reset" it.

    Returns:
        A model of the same structure with the same layer names, layer classes and
        trainable flags. If `model` is compiled, so is the result, with the
        optimizer's settings and state carried over.

    Raises:
        PlanError: the plan does not fit the model, or leaves nothing of a space.
        ModelError: the model has no graph.
        DataError: the dataset or the batch to verify on does not fit the model.
        RebuildError: the result is not what was planned.
        SplittingError: another argument is out of range.

    Example:
        >>> smaller = tf_splitting.remove(
        ...     model, tf_splitting.RemovalPlan({"conv1": [0, 3]}), dataset=(x, y)
        ... )
    """
    one_of("optimizer_state", optimizer_state, OPTIMIZER_STATES)
    sample_size = whole("sample_size", sample_size, at_least=1)
    seed = whole("seed", seed, at_least=0)
    graph = trace(model, split_untrainable=split_untrainable)
    hint = 'Wrap it: RemovalPlan({"conv1": [0, 3]}).'
    instance("plan", plan, RemovalPlan, "a RemovalPlan", hint, error=PlanError)
    plan.check(graph)
    if verify is not None:
        flat_inputs(model, verify)
    sample = None
    if dataset is not None:
        sample = draw_sample(dataset, size=sample_size, seed=seed)
    return removed(
        model,
        graph,
        plan,
        sample,
        verify=verify,
        split_untrainable=split_untrainable,
        optimizer_state=optimizer_state,
    )


def removed(
    model: keras.Model,
    graph: ChannelGraph,
    plan: RemovalPlan,
    sample: Sample | None,
    *,
    verify: Any = None,
    split_untrainable: bool = False,
    optimizer_state: OptimizerState = "carry",
) -> keras.Model:
    """`remove`, of a model that is traced already, by a plan that fits.

    Args:
        model, graph, plan: see `remove`.
        sample: to take mean outputs over, if they are to be folded.
        verify, split_untrainable, optimizer_state: see `remove`.
    """
    with scope_of(model):
        twins = heirs(graph, plan.removals)
        added: dict[str, np.ndarray] = {}
        if sample is not None:
            lost = {
                space: [n for n in indices if n not in twins.get(space, {})]
                for space, indices in plan.removals.items()
            }
            added = folded(model, graph, lost, sample)
        left = what_stays(graph, plan)
        uses = {id(weight.variable): weight for weight in graph.weights}
        new, pairs = rebuild(model, graph, left.new_widths, arrays=left.arrays(graph))
        check_widths(
            model, graph, trace(new, split_untrainable=split_untrainable), left
        )
        for old, variable in pairs:
            use = uses.get(id(old))
            if use is None:
                assign_copy(variable, old)
                continue
            heard = handed_on(as_numpy(old), use, graph, twins)
            assign_copy(variable, left.weight(heard, use))
        if verify is not None:
            silenced = _silenced(model, graph, plan, twins)
            check_function(silenced, new, graph, left, verify, unharmed=model)
        for old, variable in pairs:
            use = uses.get(id(old))
            if use is not None and use.name in added:
                value = handed_on(as_numpy(old), use, graph, twins) + added[use.name]
                assign_copy(variable, left.weight(value, use))
        if model.compiled:
            copy_compile_settings(model, new)
            carry_optimizer_state(model, new, pairs, left, uses, optimizer_state)
    return new


def what_stays(graph: ChannelGraph, plan: RemovalPlan) -> Gathering:
    """The neurons that stay, which keep all of their outgoing weights."""
    gathers = {
        space.name: np.delete(np.arange(space.width), plan.removals.get(space.name, []))
        for space in graph.spaces
    }
    shares = {space: np.ones(len(gather)) for space, gather in gathers.items()}
    return Gathering(graph.widths, gathers, shares)


def _silenced(
    model: keras.Model, graph: ChannelGraph, plan: RemovalPlan, twins: Heirs
) -> keras.Model:
    """The model with the outgoing weights of the neurons that go at zero.

    Those that have a twin hand them on before.
    """
    stays = {space.name: np.ones(space.width) for space in graph.spaces}
    for space, indices in plan.removals.items():
        stays[space][indices] = 0.0
    uses = {id(weight.variable): weight for weight in graph.weights}
    silenced, pairs = rebuild(model, graph, graph.widths)
    for old, variable in pairs:
        value, use = as_numpy(old), uses.get(id(old))
        if use is not None:
            value = handed_on(value, use, graph, twins)
        for axis in [] if use is None else use.axes:
            if axis.role == "consumed":
                loud = lay.along(axis.layout, stays, value.ndim, axis.axis)
                value = value * loud.astype(value.dtype)
        assign_copy(variable, value)
    return silenced
