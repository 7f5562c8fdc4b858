"""`estimate`: scores every neuron of a model on a sample of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from tf_splitting.data import Sample, divided, draw_sample
from tf_splitting.errors import ModelError, SplittingError
from tf_splitting.estimating.estimators.base import (
    Eigenpairs,
    Estimator,
    standard_errors,
)
from tf_splitting.estimating.estimators.rayleigh import Rayleigh
from tf_splitting.estimating.precision import in_float32
from tf_splitting.estimating.problem import SplittingProblem, flat_inputs, loss_function
from tf_splitting.estimating.scores import SpaceScores, SplittingScores, slices
from tf_splitting.estimating.targets import check_targets
from tf_splitting.support import (
    Bar,
    Looks,
    behaving,
    class_weights,
    number,
    placement_of,
    raise_if_requested,
    truth,
    verbosity,
    whole,
)
from tf_splitting.tracing import ChannelGraph, trace

# Small enough for what it predicts to come true in ReLU networks too.
DEFAULT_STEP = 0.01
DEFAULT_SAMPLE_SIZE = 1024
# Below, nothing of ε² is left in float32; above, nothing of the weights.
SMALLEST_STEP, LARGEST_STEP = 1e-6, 100


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
        epsilon: relative step that indices and gains are predicted for, at least 1e-6
            and at most 100; where the second derivative is a finite difference, its
            step.
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
        SplittingError: another argument is out of range.

    Example:
        >>> scores = tf_splitting.estimate(model, (x, y), sample_size=2000)
        >>> print(scores)

    Source: Wang et al., arXiv 1910.03103; Liu, Wu, Wang, arXiv 1910.02366.
    """
    graph = trace(model, split_untrainable=split_untrainable)
    chosen: Estimator = Rayleigh() if estimator is None else estimator
    check_settings(chosen, epsilon, jit_compile)
    sample_size = whole("sample_size", sample_size, at_least=1)
    batch_size = whole("batch_size", batch_size, at_least=1, or_none=True)
    class_weight = class_weights(class_weight)
    seed = whole("seed", seed, at_least=0)
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
    sample = divided(sample, placement_of(model))
    check_targets(model, sample, loss)
    estimation = Estimation(
        model,
        graph,
        sample,
        estimator=chosen,
        loss=loss,
        epsilon=epsilon,
        jit_compile=jit_compile,
        verbose=verbose,
    )
    return estimation.scores(sample, seed)


class Estimation:
    """A model that is about to be estimated, on one sample or several.

    What is compiled for the first sample serves the others too.

    Raises:
        SplittingError: the estimator is none, or the step is out of range.
        DataError: the sample's inputs do not fit the model.
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
        check_settings(estimator, epsilon, jit_compile)
        flat_inputs(model, sample.batches[0].x)
        precise = in_float32(model)
        if precise is not model:
            model, graph = precise, replace(trace(precise), spaces=graph.spaces)
        self._graph = graph
        self._estimator = estimator
        self._epsilon = epsilon
        self._verbose = verbose
        self._placement = placement_of(model)
        self._problem = SplittingProblem(
            model,
            graph,
            sample,
            loss=loss,
            epsilon=epsilon,
            outgoing=estimator.outgoing,
            jit_compile=jit_compile,
        )

    @property
    def passes(self) -> int:
        """How often the estimator goes over its sample, at most."""
        return -(-self._estimator.products(self._problem) // self._problem.batches)

    def scores(
        self,
        sample: Sample,
        seed: int,
        *,
        held_out: bool = False,
        highest: bool = False,
    ) -> SplittingScores:
        """Finds directions on a sample and measures what they are worth.

        Args:
            sample: the directions are those of its splitting matrices.
            seed: of directions to start from.
            held_out: find directions on each half of the sample, and take as a
                neuron's index the mean of what each is worth on the other half. The
                first half's are the ones to split along. A sample of one batch has no
                halves and is taken whole.
            highest: find the directions of the largest eigenvalues, not the smallest.
        """
        parts = [sample]
        if held_out and len(sample.batches) > 1:
            parts = [replace(sample, batches=sample.batches[k::2]) for k in (0, 1)]
        problems = [self._problem.on(part) for part in parts]
        if highest:
            problems = [problem.negated() for problem in problems]
        looks = Looks(self._placement)
        per_pass = sum(problem.batches for problem in problems)
        bar = Bar("estimating", per_pass=per_pass, verbose=self._verbose)

        def advance() -> None:
            bar.advance()
            if looks.due():
                raise_if_requested(self._placement)

        for problem in problems:
            problem.on_product = advance
        bar.total = per_pass + sum(self._estimator.products(p) for p in problems)
        found = [self._estimator.solve(problem, seed) for problem in problems]
        indices, errors = [], []
        for problem, fitted in zip(problems, reversed(found), strict=True):
            curvatures = problem.curvatures(fitted.vectors)
            indices.append(problem.fold_shares @ curvatures)
            errors.append(standard_errors(curvatures, problem.fold_shares))
        index = np.mean(indices, axis=0)
        error = np.sqrt(np.square(errors).sum(axis=0)) / len(errors)
        passes = bar.passes - 1
        bar.close(f"{sample.size} examples, {passes} passes")
        return self._scores(found[0], index, error, problems, sample.size, passes)

    def _scores(
        self,
        found: Eigenpairs,
        index: np.ndarray,
        error: np.ndarray,
        problems: list[SplittingProblem],
        examples: int,
        passes: int,
    ) -> SplittingScores:
        neurons = self._problem.neurons
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
            float(np.mean([problem.loss for problem in problems])),
            examples,
            repr(self._estimator),
            passes=passes,
        )


def check_settings(estimator: Estimator, epsilon: float, jit_compile: bool) -> None:
    """Raises unless these can estimate.

    Raises:
        SplittingError: the estimator is none, or the step is out of range.
    """
    expected = "Rayleigh(...), Exact(...), or an object with their methods"
    methods = ("solve", "products")
    behaving("estimator", estimator, methods, expected, "Pass one, not its class.")
    if not hasattr(estimator, "outgoing"):
        raise SplittingError(
            f"Estimator {estimator!r} has no attribute `outgoing`; expected True if "
            "its directions move a neuron's outgoing weights too, else False. Add it."
        )
    number("epsilon", epsilon, at_least=SMALLEST_STEP, at_most=LARGEST_STEP)
    truth("jit_compile", jit_compile)


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
