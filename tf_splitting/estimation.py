"""`estimate`: scores every neuron of a model on a sample of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras

from tf_splitting.errors import ModelError
from tf_splitting.estimators.base import Estimator, standard_errors
from tf_splitting.estimators.problem import SplittingProblem, flat_inputs
from tf_splitting.estimators.rayleigh import Rayleigh
from tf_splitting.graph import ChannelGraph
from tf_splitting.precision import in_float32
from tf_splitting.progress import Bar
from tf_splitting.sampling import Sample, draw_sample
from tf_splitting.scores import SpaceScores, SplittingScores, slices
from tf_splitting.tracing import trace

# Small enough for what it predicts to come true in ReLU networks too.
DEFAULT_STEP = 0.01
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
        epsilon: relative step that indices and gains are predicted for; where the
            second derivative is a finite difference, its step.
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
    sample = draw_sample(
        dataset,
        size=sample_size,
        batch_size=batch_size,
        seed=seed,
        class_weight=class_weight,
    )
    estimation = Estimation(
        model,
        graph,
        sample,
        estimator=estimator or Rayleigh(),
        loss=loss,
        epsilon=epsilon,
        jit_compile=jit_compile,
        verbose=verbose,
    )
    return estimation.scores(sample, seed)


class Estimation:
    """A model that is about to be estimated, on one sample or several.

    What is compiled for the first sample serves the others too.
    """

    def __init__(
        self,
        model: keras.Model,
        graph: ChannelGraph,
        sample: Sample,
        *,
        estimator: Estimator,
        loss: Any = None,
        epsilon: float = DEFAULT_STEP,
        jit_compile: bool = False,
        verbose: int = 0,
    ) -> None:
        flat_inputs(model, sample.batches[0].x)
        precise = in_float32(model)
        if precise is not model:
            model, graph = precise, replace(trace(precise), spaces=graph.spaces)
        self._graph = graph
        self._estimator = estimator
        self._epsilon = epsilon
        self._verbose = verbose
        self._problem = SplittingProblem(
            model,
            graph,
            sample,
            loss=loss,
            epsilon=epsilon,
            outgoing=estimator.outgoing,
            jit_compile=jit_compile,
        )

    def scores(self, sample: Sample, seed: int) -> SplittingScores:
        """Finds directions on a sample and measures what they are worth.

        Args:
            sample: the directions are those of its splitting matrices.
            seed: of directions to start from.
        """
        problem = self._problem.on(sample)
        bar = Bar("estimating", per_pass=problem.batches, verbose=self._verbose)
        problem.on_product = bar.advance
        bar.total = self._estimator.products(problem) + problem.batches
        found = self._estimator.solve(problem, seed)
        curvatures, shares = problem.curvatures(found.vectors), problem.fold_shares
        index, error = shares @ curvatures, standard_errors(curvatures, shares)
        passes = bar.passes - 1
        bar.close(f"{sample.size} examples, {passes} passes")
        neurons = problem.neurons
        spaces = {}
        for space in self._graph.growable:

            def part(values: Any, name: str = space.name) -> Any:
                return None if values is None else neurons.of(name, values)

            incoming, outgoing = slices(neurons, found.vectors, space.name)
            spaces[space.name] = SpaceScores(
                splitting_index=part(index),
                gain=-0.5 * self._epsilon**2 * part(index),
                incoming=incoming,
                outgoing=outgoing,
                residual=part(found.residuals),
                standard_error=part(error),
                matrices=(found.matrices or {}).get(space.name),
            )
        return SplittingScores(
            spaces,
            self._epsilon,
            problem.loss,
            sample.size,
            repr(self._estimator),
            passes=passes,
        )


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
