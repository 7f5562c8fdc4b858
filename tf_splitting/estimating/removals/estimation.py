"""`estimate_removals`: what every neuron of a model costs to remove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

import keras

from tf_splitting.data import Sample, divided, draw_sample
from tf_splitting.estimating.estimation import DEFAULT_SAMPLE_SIZE, check_growable
from tf_splitting.estimating.precision import in_float32
from tf_splitting.estimating.problem import loss_function
from tf_splitting.estimating.removals.base import RemovalEstimator
from tf_splitting.estimating.removals.scores import RemovalScores
from tf_splitting.estimating.removals.second_order import SecondOrder
from tf_splitting.estimating.removals.silencing import Silencing
from tf_splitting.estimating.targets import check_targets
from tf_splitting.support import (
    Bar,
    Looks,
    behaving,
    class_weights,
    placement_of,
    raise_if_requested,
    refused,
    truth,
    verbosity,
    whole,
)
from tf_splitting.tracing import ChannelGraph, trace


def estimate_removals(
    model: keras.Model,
    dataset: Any,
    *,
    estimator: RemovalEstimator | None = None,
    loss: Any = None,
    sample_size: int = DEFAULT_SAMPLE_SIZE,
    batch_size: int | None = None,
    class_weight: Mapping[int, float] | None = None,
    seed: int = 0,
    jit_compile: bool = False,
    split_untrainable: bool = False,
    verbose: int = 1,
) -> RemovalScores:
    """Measures for every neuron how much the loss would rise without it.

    Args:
        model: a built Functional or Sequential model. It is read in inference mode.
        dataset: what `model.fit` takes.
        estimator: `SecondOrder()` (the default), `Taylor()`, `NormalizationScale()`,
            `WeightNorm()`, or one of your own.
        loss: a Keras loss or its name; default: the one the model is compiled with.
        sample_size: number of examples.
        batch_size: examples per batch; default: the dataset's own, 32 for arrays.
        class_weight: weight of the examples of each class, as in `fit`.
        seed: seed of the draw.
        jit_compile: compile with XLA: for TPUs and GPUs; slower on CPUs.
        split_untrainable: also score neurons made by layers with `trainable=False`.
        verbose: 0 is silent, 1 shows a progress line.

    Returns:
        `RemovalScores`: costs by space name, `[width]`.

    Raises:
        ModelError: no graph, no loss, or nothing that could be smaller.
        DataError: the dataset is empty or does not fit the model.
        NonFiniteLossError: the loss on the sample is NaN or infinite.
        SplittingError: another argument is out of range.

    Example:
        >>> scores = tf_splitting.estimate_removals(model, (x, y))
        >>> plan = tf_splitting.select_removals(scores, graph, target_macs=1e8)
    """
    graph = trace(model, split_untrainable=split_untrainable)
    chosen = SecondOrder() if estimator is None else estimator
    check_removal_estimator(chosen)
    sample_size = whole("sample_size", sample_size, at_least=1)
    batch_size = whole("batch_size", batch_size, at_least=1, or_none=True)
    class_weight = class_weights(class_weight)
    seed = whole("seed", seed, at_least=0)
    truth("jit_compile", jit_compile)
    verbose = verbosity(verbose)
    loss_function(model, loss)
    check_growable(graph)
    sample = draw_sample(
        dataset,
        size=sample_size,
        batch_size=batch_size,
        seed=seed,
        class_weight=class_weight,
    )
    placement = placement_of(model)
    sample = divided(sample, placement)
    check_targets(model, sample, loss)
    return removal_scores(
        model,
        graph,
        sample,
        chosen,
        loss=loss,
        jit_compile=jit_compile,
        verbose=verbose,
    )


def removal_scores(
    model: keras.Model,
    graph: ChannelGraph,
    sample: Sample,
    estimator: RemovalEstimator,
    *,
    loss: Any = None,
    jit_compile: bool = False,
    verbose: int = 0,
) -> RemovalScores:
    """`estimate_removals` on a sample, of a model that is traced already."""
    precise = in_float32(model)
    if precise is not model:
        graph = replace(trace(precise), spaces=graph.spaces)
    placement = placement_of(model)
    looks = Looks(placement)
    bar = Bar("estimating", per_pass=len(sample.batches), verbose=verbose)
    bar.total = estimator.passes * len(sample.batches)

    def advance() -> None:
        bar.advance()
        if looks.due():
            raise_if_requested(placement)

    silencing = Silencing(
        precise, graph, sample, loss=loss, jit_compile=jit_compile, on_batch=advance
    )
    costs = estimator.costs(silencing)
    bar.close(f"{sample.size} examples")
    spaces = {s.name: silencing.neurons.of(s.name, costs) for s in graph.growable}
    predicted = getattr(estimator, "predicts", False)
    return RemovalScores(spaces, sample.size, repr(estimator), predicted)


def check_removal_estimator(estimator: Any) -> None:
    """Raises unless it is one.

    Raises:
        SplittingError: it is something else.
    """
    expected = "SecondOrder(), Taylor(), or an object with costs(), passes and steps"
    hint = "Pass one, not its class."
    behaving("estimator", estimator, ("costs",), expected, hint)
    for name in ("passes", "steps"):
        if not isinstance(getattr(estimator, name, None), Real):
            raise refused("estimator", estimator, expected, hint)
