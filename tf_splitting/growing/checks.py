"""Checks that a job can work, before any long work starts."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tf_splitting.costs import count_macs, get_cost, growable_share
from tf_splitting.data import Sample
from tf_splitting.errors import (
    BudgetError,
    ModelError,
    SplittingWarning,
)
from tf_splitting.estimating import (
    SpaceScores,
    check_growable,
    removal_scores,
)
from tf_splitting.growing.grower import REACHED
from tf_splitting.growing.reallocate_arguments import ReallocateArguments
from tf_splitting.growing.shrink_arguments import ShrinkArguments
from tf_splitting.rebuilding import split
from tf_splitting.selecting import (
    SplitPlan,
    select,
    select_exchanges,
    select_removals,
)
from tf_splitting.tracing import IS_INPUT, IS_OUTPUT, ChannelGraph, check_model


def check_compiled(model: keras.Model) -> None:
    """Raises unless the model can train.

    Raises:
        ModelError: it is no model with a graph, not compiled, or without a loss.
    """
    check_model(model)
    if not model.compiled or model.loss is None or model.optimizer is None:
        raise ModelError(
            f"Model {model.name!r} is not compiled with an optimizer and a loss. Call "
            "model.compile(optimizer, loss, metrics=[...]) before growing it."
        )


def warn_if_little_grows(graph: ChannelGraph) -> None:
    """Warns when less than half of a model's MACs lie in layers that can grow."""
    share = growable_share(graph)
    if share < 0.5:
        reasons = {space.frozen for space in graph.spaces if space.frozen}
        reasons -= {IS_INPUT, IS_OUTPUT}
        warnings.warn(
            f"Only {share:.0%} of the MACs of model {graph.name!r} are in layers that "
            f"can grow. Frozen because: {'; '.join(sorted(reasons)) or 'see trace'}.",
            SplittingWarning,
            stacklevel=3,
        )


def check_shrinkable(
    model: keras.Model, graph: ChannelGraph, arguments: ShrinkArguments
) -> int:
    """Raises unless there is something to shrink, and the targets can be met.

    Returns the MACs.

    Raises:
        BudgetError: the model meets the targets already, or never will.
        ModelError: nothing can be smaller.
        PlanError: a limit is out of range.
    """
    macs = count_macs(model)
    cost = get_cost(arguments.cost)(graph, graph.widths)
    if arguments.target_macs >= macs and arguments.target_cost >= cost:
        raise BudgetError(
            f"Got target_macs={arguments.target_macs:g}, but model {model.name!r} has "
            f"only {macs:g} MACs. Give a smaller target; grow makes models larger."
        )
    check_growable(graph)
    # What costs no pass over data says now who has to stay; for the others any neuron
    # will do: this asks what could be freed, not what should be.
    scores: Mapping[str, np.ndarray] = {
        space.name: np.ones(space.width) for space in graph.growable
    }
    estimator = arguments.chosen_estimator
    if not estimator.passes:
        scores = removal_scores(model, graph, Sample(()), estimator)
    select_removals(
        scores,
        graph,
        target_macs=arguments.target_macs,
        target_cost=arguments.target_cost,
        **arguments.selection,
    )
    return macs


def check_reallocatable(
    model: keras.Model, graph: ChannelGraph, arguments: ReallocateArguments
) -> int:
    """Raises unless there is something to exchange. Returns the MACs.

    Raises:
        ModelError: fewer than two spaces may change.
        PlanError: a limit is out of range.
    """
    macs = count_macs(model)
    check_growable(graph)
    if len(graph.growable) < 2:
        raise ModelError(
            f"Only space {graph.growable[0].name!r} of model {model.name!r} may change "
            "its width; expected two at least, to exchange neurons between them."
        )
    losses = {space.name: np.zeros(space.width) for space in graph.growable}
    selection = arguments.exchanges.selection
    select_exchanges(losses, _level(graph), graph, **selection)
    return macs


def check_budget(
    model: keras.Model,
    graph: ChannelGraph,
    target_macs: float,
    selection: dict[str, Any],
) -> int:
    """Raises unless growing can start and get near the target. Returns the MACs.

    Raises:
        BudgetError: the target is no larger than the model, smaller than the model
            with its cheapest split, or out of reach of the largest allowed widths.
        ModelError: nothing can grow.
    """
    macs = count_macs(model)
    if not math.isfinite(target_macs) or target_macs <= macs:
        raise BudgetError(
            f"Got target_macs={target_macs:g}, but model {model.name!r} has {macs:g} "
            "MACs already. Give a larger target, or start from a smaller model."
        )
    check_growable(graph)
    affordable = select(
        _level(graph), graph, **{**selection, "target_macs": target_macs}
    )
    if not len(affordable):
        raise BudgetError(
            f"No split fits: model {model.name!r} has {macs:g} MACs, the target is "
            f"{target_macs:g}, and the cheapest split allowed by width_multiple, "
            "max_widths and target_cost costs more than what is left. Raise the "
            "target or loosen the limits."
        )
    return macs


def check_rebuildable(
    model: keras.Model, graph: ChannelGraph, *, split_untrainable: bool
) -> None:
    """Raises unless layers that were looked into can be rebuilt at other widths.

    Raises:
        ModelError: one cannot; or what is shared would not be afterwards.
        RebuildError: the model cannot be rebuilt.
    """
    if graph.insides:
        split_everywhere(model, graph, split_untrainable=split_untrainable)


def split_everywhere(
    model: keras.Model, graph: ChannelGraph, *, split_untrainable: bool
) -> keras.Model:
    """The model with one neuron more wherever it can grow.

    Raises:
        ModelError, RebuildError: see `split`.
    """
    plan = SplitPlan({space.name: [0] for space in graph.growable})
    return split(model, plan, epsilon=0.0, split_untrainable=split_untrainable)


def check_budgets(
    model: keras.Model,
    graph: ChannelGraph,
    targets: Sequence[float],
    selection: dict[str, Any],
) -> int:
    """Raises unless growing can start and pass through targets. Returns the MACs.

    Raises:
        BudgetError: see `check_budget`; or two targets are so close together that one
            model meets both.
        ModelError: nothing can grow.
    """
    macs = check_budget(model, graph, targets[0], selection)
    neuron = _cheapest(graph, selection["width_multiple"])
    for lower, upper in itertools.pairwise(targets):
        if REACHED * upper <= lower:
            raise BudgetError(
                f"Targets {lower:g} and {upper:g} are one: a model within "
                f"{1 - REACHED:.0%} below a target has reached it. Leave one out, or "
                "put them further apart."
            )
        if upper - lower < neuron:
            raise BudgetError(
                f"Targets {lower:g} and {upper:g} are closer together than one step "
                f"of widths of model {model.name!r}, which costs {neuron:g} MACs at "
                "least. Leave one out, or put them further apart."
            )
    return macs


def _cheapest(graph: ChannelGraph, neurons: int) -> float:
    """MACs that so many neurons more of a space cost at least, however wide it is."""
    macs = get_cost("macs")
    widths = graph.widths
    return min(
        macs(graph, {**widths, space.name: space.width + neurons})
        for space in graph.growable
    ) - macs(graph, widths)


def _level(graph: ChannelGraph) -> dict[str, SpaceScores]:
    """Any neuron will do: this asks what could be bought, not what should be."""
    return {
        space.name: SpaceScores(-np.ones(space.width), np.ones(space.width), {}, {})
        for space in graph.growable
    }
