"""Checks that a job can work, before any long work starts."""

from __future__ import annotations

import math
import warnings
from typing import Any

import keras
import numpy as np

from tf_splitting.costs import count_macs, growable_share
from tf_splitting.errors import (
    BudgetError,
    DataError,
    ModelError,
    NonFiniteLossError,
    SplittingWarning,
)
from tf_splitting.estimation import check_growable
from tf_splitting.estimators.problem import flat_inputs
from tf_splitting.estimators.targets import check_labels, check_targets
from tf_splitting.graph import IS_INPUT, IS_OUTPUT, ChannelGraph
from tf_splitting.keras_graph import check_model
from tf_splitting.measuring import measure
from tf_splitting.sampling import Batch, Sample
from tf_splitting.scores import SpaceScores
from tf_splitting.selection import select


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
    # Any neuron will do: this asks what could be bought, not what should be.
    level = {
        space.name: SpaceScores(-np.ones(space.width), np.ones(space.width), {}, {})
        for space in graph.growable
    }
    if not len(select(level, graph, **{**selection, "target_macs": target_macs})):
        raise BudgetError(
            f"No split fits: model {model.name!r} has {macs:g} MACs, the target is "
            f"{target_macs:g}, and the cheapest split allowed by width_multiple, "
            "max_widths and target_cost costs more than what is left. Raise the "
            "target or loosen the limits."
        )
    return macs


def check_data(model: keras.Model, sample: Sample) -> dict[str, float]:
    """Raises unless the sample fits the model. Returns loss and metrics on it.

    Raises:
        DataError: shapes or labels do not fit.
        NonFiniteLossError: the loss is NaN or infinite.
    """
    for batch in sample.batches:
        check_batch(model, batch, "the estimation sample")
    check_targets(model, sample)
    return check_loss(measure(model, sample))


def check_batch(model: keras.Model, batch: Batch, where: str) -> None:
    """Raises unless inputs and targets are finite and labels are ones of the model's.

    Args:
        model: what they are for.
        batch: NumPy arrays.
        where: which examples they are, for the message.

    Raises:
        DataError: they are not.
    """
    for what, arrays in (
        ("inputs", flat_inputs(model, batch.x)),
        ("targets", keras.tree.flatten(batch.y)),
    ):
        for array in map(np.asarray, arrays):
            if array.dtype.kind not in "fc" or np.isfinite(array).all():
                continue
            bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
            raise DataError(
                f"The {what} hold NaN or infinite values: {bad.sum()} of {len(bad)} "
                f"examples in {where}, the first at {bad.argmax()}. Clean the data."
            )
    check_labels(model, batch.y, where)


def check_loss(measured: dict[str, float]) -> dict[str, float]:
    """Raises unless a measured loss is finite. Returns what was measured.

    Raises:
        NonFiniteLossError: it is NaN or infinite.
    """
    if not math.isfinite(measured["loss"]):
        raise NonFiniteLossError(
            f"The loss on the estimation sample is {measured['loss']}. Check the data "
            "for extreme values, the learning rate, and the loss for the right "
            "from_logits."
        )
    return measured
