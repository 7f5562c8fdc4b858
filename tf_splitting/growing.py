"""`grow`: the rounds of training, estimating, selecting and splitting."""

from __future__ import annotations

import difflib
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tf_splitting import checks
from tf_splitting.batch_statistics import reestimate_batch_statistics
from tf_splitting.costs import Cost, count_macs, count_params
from tf_splitting.errors import ModelError, SplittingError, UnknownNameError
from tf_splitting.estimation import DEFAULT_SAMPLE_SIZE
from tf_splitting.estimators import Estimator
from tf_splitting.graph import format_table
from tf_splitting.history import GrowthHistory, RoundRecord
from tf_splitting.layers.splittable import Splittable, to_plain
from tf_splitting.methods import METHODS, Method, Proposal, Round
from tf_splitting.methods import Splitting as SplittingMethod
from tf_splitting.progress import format_count, format_seconds
from tf_splitting.rebuilding import DEFAULT_EPSILON, Splitting
from tf_splitting.sampling import Sample, draw_sample
from tf_splitting.schedule import (
    CosineDecay,
    Schedule,
    has_own_schedule,
    plan_rounds,
)
from tf_splitting.step_size import build_at, check_epsilon
from tf_splitting.tracing import trace
from tf_splitting.training import Recorder, StopOnNonFinite, fit

# A model within this share of its target counts as having reached it.
REACHED = 0.97


def grow(
    model: keras.Model,
    dataset: Any,
    *,
    target_macs: float,
    rounds: int | None = None,
    growth: float = 2.0,
    epochs: int = 1,
    final_epochs: int = 4,
    epsilon: float | str = DEFAULT_EPSILON,
    estimator: Estimator | None = None,
    method: str | Method = "splitting",
    cost: str | Cost = "macs",
    target_cost: float = math.inf,
    width_multiple: int = 1,
    max_widths: int | Mapping[str, int] | None = None,
    max_growth: float = 2.0,
    sample_size: int = DEFAULT_SAMPLE_SIZE,
    batch_size: int | None = None,
    validation_data: Any = None,
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
    seed: int = 0,
    verbose: int = 1,
    history: GrowthHistory | None = None,
    **fit_arguments: Any,
) -> keras.Model:
    """Trains a model and grows it until its compute budget is used.

    Every round trains for `epochs` at a constant learning rate, measures what each
    neuron would gain by being split, splits the ones that gain most per cost, and
    rebuilds the model around them. After the last split the model trains for
    `final_epochs` while the learning rate decays to zero along half a cosine; an
    optimizer that follows a `LearningRateSchedule` keeps its own schedule throughout.

    Args:
        model: a compiled Functional or Sequential model. It is trained in place until
            the first split and left alone afterwards.
        dataset: what `model.fit` takes: `(x, y)` or `(x, y, sample_weight)` arrays,
            a `tf.data.Dataset`, a `keras.utils.PyDataset`.
        target_macs: multiply-accumulates per example that the result may have.
        rounds: number of splits; default: as many as `growth` asks for. Rounds are
            added if spaces cannot grow fast enough to reach the target in these.
        growth: ratio by which the MACs grow in a round, if `rounds` is not given.
        epochs: epochs before each split.
        final_epochs: epochs after the last split.
        epsilon: relative step of a split, or `"descent"`: the largest step of a
            ladder that does not raise the loss on the estimation sample.
        estimator: `Rayleigh(...)` (the default), `Exact()`, or one of your own.
        method: `"splitting"`, `"uniform"` (random neurons: the baseline), or an
            object with the protocol of `tf_splitting.methods.Method`.
        cost: what gains are divided by: `"macs"`, `"params"`, or a function
            `cost(graph, widths) -> float`.
        target_cost: what the result may cost at most, in the units of `cost`.
        width_multiple: spaces grow to multiples of this only.
        max_widths: largest width of every space, or of spaces by name.
        max_growth: largest ratio of a space's widths in one round, up to 2.
        sample_size: examples that neurons are measured on.
        batch_size: batch size for arrays, as in `fit`.
        validation_data: passed on to `fit`.
        callbacks: passed on to `fit`, which runs once per round; epochs are numbered
            through.
        seed: seed of samples and directions. For a job that repeats exactly also
            call `keras.utils.set_random_seed`.
        verbose: 0 is silent; 1 prints a line per epoch and a table per round.
        history: filled in as the job goes.
        **fit_arguments: passed on to `fit`, for example `class_weight`.

    Returns:
        A compiled model of plain Keras layers with the same layer names, no more MACs
        than `target_macs`, and at least 97 % of that where enough neurons may be
        split.

    Raises:
        ModelError: not compiled, no graph, or nothing can grow.
        BudgetError: the target is below the model's MACs, or no split fits.
        DataError: the dataset is empty or does not fit the model.
        NonFiniteLossError: the loss becomes NaN or infinite.
        SplittingError: an argument is out of range.

    Example:
        >>> model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss)
        >>> grown = tf_splitting.grow(model, (x, y), target_macs=2e8)
        >>> grown.save("grown.keras")

    Source: Wang et al., "Energy-Aware Neural Architecture Optimization with Fast
    Splitting Steepest Descent", arXiv 1910.03103.
    """
    checks.check_compiled(model)
    check_epsilon(epsilon)
    graph = trace(model)
    selection = {
        "cost": cost,
        "target_cost": target_cost,
        "width_multiple": width_multiple,
        "max_widths": max_widths,
        "max_growth": max_growth,
    }
    macs = checks.check_budget(model, graph, target_macs, selection)
    schedule = plan_rounds(
        macs,
        target_macs,
        rounds=rounds,
        growth=growth,
        epochs=epochs,
        final_epochs=final_epochs,
    )
    sample = draw_sample(dataset, size=sample_size, batch_size=batch_size, seed=seed)
    checks.check_data(model, sample)
    job = _Job(
        dataset=dataset,
        schedule=schedule,
        sample=sample,
        history=GrowthHistory() if history is None else history,
        method=_get_method(method, estimator),
        selection=selection,
        epsilon=epsilon,
        target=target_macs,
        batch_size=batch_size,
        callbacks=list(callbacks or []),
        fit_arguments={"validation_data": validation_data, **fit_arguments},
        seed=seed,
        verbose=verbose,
    )
    return job.run(model)


class _Job:
    """One growing job: what does not change from round to round."""

    def __init__(
        self,
        *,
        dataset: Any,
        schedule: Schedule,
        sample: Sample,
        history: GrowthHistory,
        method: Method,
        selection: dict[str, Any],
        epsilon: float | str,
        target: float,
        batch_size: int | None,
        callbacks: list[keras.callbacks.Callback],
        fit_arguments: dict[str, Any],
        seed: int,
        verbose: int,
    ) -> None:
        self._dataset = dataset
        self._schedule = schedule
        self._sample = sample
        self._history = history
        self._method = method
        self._selection = selection
        self._epsilon = epsilon
        self._target = target
        self._batch_size = batch_size
        self._callbacks = callbacks
        self._fit_arguments = fit_arguments
        self._seed = seed
        self._verbose = verbose
        self._epoch = 0
        self._recorder = Recorder(history, schedule, verbose=verbose)

    def run(self, model: keras.Model) -> keras.Model:
        number = 0
        while count_macs(model) < REACHED * self._target:
            started = time.perf_counter()
            self._train(model, self._schedule.epochs, number)
            trained = time.perf_counter() - started
            number += 1
            grown = self._round(model, number, trained)
            if grown is None:
                break
            model = grown
        self._train(model, self._schedule.final_epochs, number, final=True)
        return _plain(model)

    def _train(
        self, model: keras.Model, epochs: int, number: int, final: bool = False
    ) -> None:
        if not epochs:
            return
        self._recorder.round = number
        self._recorder.macs = count_macs(model)
        callbacks = [StopOnNonFinite(), self._recorder]
        if final and not has_own_schedule(model.optimizer):
            callbacks.append(CosineDecay(epochs))
        # The user's come last, so that they see the rate of the batch they are told of.
        callbacks += self._callbacks
        fit(
            model,
            self._dataset,
            batch_size=self._batch_size,
            first_epoch=self._epoch,
            epochs=epochs,
            callbacks=callbacks,
            arguments=self._fit_arguments,
        )
        self._epoch += epochs

    def _round(
        self, model: keras.Model, number: int, trained: float
    ) -> keras.Model | None:
        """Splits; None if nothing gains."""
        clock = time.perf_counter
        start = clock()
        # Short rounds leave moving statistics behind the weights. Both sides of the
        # split are measured with fresh ones, or catching up would pass for a gain.
        reestimate_batch_statistics(model, self._sample)
        before = checks.check_data(model, self._sample)
        targets = self._schedule.targets
        target = targets[min(number, len(targets)) - 1]
        graph = trace(model)
        proposal = self._method.propose(
            Round(
                model,
                graph,
                self._sample,
                {**self._selection, "target_macs": target},
                self._seed + number,
                self._verbose,
            )
        )
        estimated = clock() - start
        if not len(proposal.plan):
            self._stop(number, model)
            return None
        start = clock()
        splitting = Splitting(
            model, proposal.plan, scores=proposal.scores, seed=self._seed + number
        )
        grown, step, after = build_at(
            splitting, self._epsilon, self._sample, before["loss"]
        )
        record = RoundRecord(
            round=number,
            macs=count_macs(grown),
            params=count_params(grown),
            added=len(proposal.plan),
            widths=trace(grown).widths,
            epsilon=step,
            before=before,
            after=after,
            predicted_gain=_predicted_gain(proposal),
            seconds={
                "training": trained,
                "estimating": estimated,
                "rebuilding": clock() - start,
            },
        )
        self._check_rebuilt(record, proposal, graph)
        self._history.rounds.append(record)
        if self._verbose:
            print(round_table(record, max(number, len(targets))), flush=True)
        return grown

    def _check_rebuilt(
        self, record: RoundRecord, proposal: Proposal, graph: Any
    ) -> None:
        planned = proposal.plan.widths(graph)
        if record.widths != planned or record.macs > self._target:
            raise ModelError(
                f"The rebuilt model has widths {record.widths} and {record.macs} MACs; "
                f"planned were {planned} within {self._target:g}. This is a bug: "
                "please report it with the model's config."
            )

    def _stop(self, number: int, model: keras.Model) -> None:
        macs = count_macs(model)
        self._history.stopped = (
            f"Growing stops in round {number} at {format_count(macs)} of "
            f"{format_count(self._target)} MACs: no split that gains fits the budget "
            "and the limits on widths."
        )
        if self._verbose:
            print(self._history.stopped, flush=True)


def _get_method(method: str | Method, estimator: Estimator | None) -> Method:
    if not isinstance(method, str):
        if estimator is not None:
            raise SplittingError(
                "Got both a method object and an estimator; give the estimator to "
                "the method, for example methods.Splitting(estimator=...)."
            )
        return method
    if method not in METHODS:
        near = difflib.get_close_matches(method, METHODS, 1, 0)[0]
        raise UnknownNameError(
            f"Got method={method!r}; expected one of {sorted(METHODS)}. The nearest "
            f"name is {near!r}."
        )
    if estimator is not None:
        if method != "splitting":
            raise SplittingError(f"Method {method!r} takes no estimator.")
        return SplittingMethod(estimator=estimator)
    return METHODS[method]()


def _predicted_gain(proposal: Proposal) -> float | None:
    if proposal.scores is None:
        return None
    return float(
        sum(
            proposal.scores[space].gain[indices].sum()
            for space, indices in proposal.plan.splits.items()
        )
    )


def round_table(record: RoundRecord, rounds: int) -> str:
    """A round's table: cost, loss and metrics before and after the split, time."""
    rows = [(f"round {record.round}/{rounds}", "before split", "after split")]
    rows += [
        (name, f"{record.before[name]:.4f}", f"{record.after[name]:.4f}")
        for name in record.before
    ]
    spent = ", ".join(f"{k} {format_seconds(v)}" for k, v in record.seconds.items())
    tail = (
        f"+{record.added} neurons at epsilon {record.epsilon:g}: "
        f"{format_count(record.macs)} MACs, {format_count(record.params)} params; "
        f"{spent}"
    )
    return f"{format_table(rows)}\n{tail}"


def _plain(model: keras.Model) -> keras.Model:
    if any(isinstance(layer, Splittable) for layer in model.layers):
        return to_plain(model)
    return model
