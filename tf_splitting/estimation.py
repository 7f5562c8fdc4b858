"""`estimate`: scores every neuron of a model on a sample of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from tf_splitting.errors import ModelError
from tf_splitting.estimators.base import Estimator
from tf_splitting.estimators.problem import SplittingProblem, flat_inputs
from tf_splitting.estimators.rayleigh import Rayleigh
from tf_splitting.graph import ChannelGraph
from tf_splitting.neurons import Neurons
from tf_splitting.precision import in_float32
from tf_splitting.progress import Bar
from tf_splitting.sampling import Sample, draw_sample, weighted_by_class
from tf_splitting.scores import SpaceScores, SplittingScores, slices
from tf_splitting.tracing import trace

DEFAULT_STEP = 0.03
DEFAULT_SAMPLE_SIZE = 1024


def estimate(
    model: keras.Model,
    dataset: Any,
    *,
    estimator: Estimator | None = None,
    loss: Any = None,
    sample_size: int = DEFAULT_SAMPLE_SIZE,
    batch_size: int | None = None,
    class_weight: Mapping[int, float] | None = None,
    epsilon: float = DEFAULT_STEP,
    seed: int = 0,
    jit_compile: bool = False,
    split_untrainable: bool = False,
    verbose: int = 1,
) -> SplittingScores:
    """Measures for every neuron how much the loss would fall if it were split.

    Args:
        model: a built Functional or Sequential model. It is read in inference mode.
        dataset: what `model.fit` takes: `(x, y)` or `(x, y, sample_weight)` arrays,
            tf.data, PyDataset. A stream is read to its end, but no further than 65,536
            examples, each as likely to be drawn as any other.
        estimator: `Rayleigh(...)` (the default), `Exact()`, or one of your own.
        loss: a Keras loss or its name; default: the one the model is compiled with.
        sample_size: number of examples.
        batch_size: examples per batch; default: the dataset's own, 32 for arrays.
        class_weight: weight of the examples of each class, as in `fit`.
        epsilon: relative step of the finite difference that stands for the second
            derivative, and the step that `gain` is predicted for.
        seed: seed of the draw and of the start directions.
        jit_compile: compile with XLA: for TPUs and GPUs; slower on CPUs.
        split_untrainable: also score neurons made by layers with `trainable=False`.
        verbose: 0 is silent, 1 shows a progress line.

    Returns:
        `SplittingScores`: by space name the splitting index `[width]`, the gain
        `[width]` and the directions.

    Raises:
        ModelError: no graph, no loss, or nothing that can grow.
        DataError: the dataset is empty or does not fit the model.
        NonFiniteLossError: the loss on the sample is NaN or infinite.

    Example:
        >>> scores = tf_splitting.estimate(model, (x, y), sample_size=2000)
        >>> print(scores)

    Source: Wang et al., arXiv 1910.03103; Liu, Wu, Wang, arXiv 1910.02366.
    """
    graph = trace(model, split_untrainable=split_untrainable)
    check_growable(graph)
    sample = draw_sample(dataset, size=sample_size, batch_size=batch_size, seed=seed)
    if class_weight is not None:
        sample = weighted_by_class(sample, class_weight)
    return estimate_sample(
        model,
        graph,
        sample,
        estimator=estimator or Rayleigh(),
        loss=loss,
        epsilon=epsilon,
        seed=seed,
        jit_compile=jit_compile,
        verbose=verbose,
    )


def estimate_sample(
    model: keras.Model,
    graph: ChannelGraph,
    sample: Sample,
    *,
    estimator: Estimator,
    loss: Any,
    epsilon: float,
    seed: int,
    jit_compile: bool,
    verbose: int,
) -> SplittingScores:
    """`estimate` on a graph and a sample that are at hand already."""
    flat_inputs(model, sample.batches[0].x)
    precise = in_float32(model)
    if precise is not model:
        model, graph = precise, replace(trace(precise), spaces=graph.spaces)
    bar = Bar("estimating", verbose=verbose)
    problem = SplittingProblem(
        model,
        graph,
        sample,
        loss=loss,
        epsilon=epsilon,
        outgoing=estimator.outgoing,
        jit_compile=jit_compile,
        on_product=bar.advance,
    )
    bar.total = estimator.products(problem)
    found = estimator.solve(problem, seed)
    bar.close()
    neurons = problem.neurons
    spaces = {}
    for space in graph.growable:
        index = neurons.of(space.name, found.values)
        incoming, outgoing = slices(neurons, found.vectors, space.name)
        spaces[space.name] = SpaceScores(
            splitting_index=index,
            gain=-0.5 * epsilon**2 * index,
            incoming=incoming,
            outgoing=outgoing,
            residual=_part(neurons, space.name, found.residuals),
            standard_error=_part(neurons, space.name, found.standard_errors),
            matrices=None if found.matrices is None else found.matrices[space.name],
        )
    return SplittingScores(spaces, epsilon, problem.loss, sample.size, repr(estimator))


def _part(neurons: Neurons, space: str, values: np.ndarray | None) -> np.ndarray | None:
    return None if values is None else neurons.of(space, values)


def check_growable(graph: ChannelGraph) -> None:
    """Raises if nothing can grow.

    Raises:
        ModelError: every space is frozen; the message lists the reasons.
    """
    if not graph.growable:
        reasons = "; ".join(f"{s.name!r}: {s.frozen}" for s in graph.spaces)
        raise ModelError(
            f"Nothing in model {graph.name!r} can grow; every channel space is frozen "
            f"({reasons})."
        )
