"""`grow`: the rounds of training, estimating, selecting and splitting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from tf_splitting.costs import Cost, count_macs
from tf_splitting.errors import SplittingError
from tf_splitting.estimating import Estimator
from tf_splitting.growing import checks
from tf_splitting.growing.rounds import MEASURED
from tf_splitting.growing.running import Options
from tf_splitting.growing.step_size import check_epsilon
from tf_splitting.layers import is_splittable, to_plain
from tf_splitting.methods import METHODS, Method, Splitting
from tf_splitting.rebuilding import FRESH
from tf_splitting.support import arguments
from tf_splitting.tracing import trace
from tf_splitting.training import GrowthHistory, Schedule, plan_rounds

# What grew the best networks of all that were tried (README, "Does it pay?").
DEFAULT_EPSILON = FRESH
# Of the estimation sample, if the user does not say how large it may be.
MOST_EXAMPLES = 8192
MOST_BYTES = 2**29


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
    sample_size: int | None = None,
    batch_size: int | None = None,
    validation_data: Any = None,
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
    seed: int = 0,
    split_untrainable: bool = False,
    verify: bool = True,
    checkpoint_dir: str | Path | None = None,
    save_steps: int | None = None,
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
            a `tf.data.Dataset`, a `keras.utils.PyDataset`; or an `ImageData`. Arrays
            and PyDatasets are shuffled unless `shuffle=False`; the order of an epoch is
            a function of the seed and its number.
        target_macs: multiply-accumulates per example that the result may have.
        rounds: number of splits; default: as many as `growth` asks for. Rounds are
            added if spaces cannot grow fast enough to reach the target in these.
        growth: ratio by which the MACs grow in a round, if `rounds` is not given.
        epochs: epochs before each split.
        final_epochs: epochs after the last split.
        epsilon: `"fresh"`: added neurons start at random incoming weights and zero
            outgoing ones; or a number: copies move by this relative step along the
            splitting directions; or `"descent"`: by the largest step of a ladder that
            does not raise the loss on the estimation sample.
        estimator: `Rayleigh(...)` (the default), `Exact()`, or one of your own.
        method: `"splitting"`, `"uniform"` (random neurons: the baseline), or an
            object with the protocol of `tf_splitting.methods.Method`.
        cost: what gains are divided by: `"macs"`, `"params"`, or a function
            `cost(graph, widths) -> float`.
        target_cost: what the result may cost at most, in the units of `cost`.
        width_multiple: spaces grow to multiples of this only.
        max_widths: largest width of every space, or of spaces by name.
        max_growth: largest ratio of a space's widths in one round, up to 2.
        sample_size: most examples that neurons are measured on; the `"splitting"`
            method takes as many of them as it needs to settle its plan. Default:
            8,192, fewer if they would take more than 512 MB.
        batch_size: batch size for arrays, as in `fit`.
        validation_data: passed on to `fit`.
        callbacks: passed on to `fit`, which runs once per round; epochs are numbered
            through.
        seed: seed of samples and directions. For a job that repeats exactly also
            call `keras.utils.set_random_seed`.
        split_untrainable: also split neurons made by layers with `trainable=False`.
        verify: after every rebuild compare the outputs of both models on one batch,
            at ε = 0.
        checkpoint_dir: saves the job there after every epoch, estimate and split. The
            same call goes on where the job was when it ended, however it did, with the
            result of one that was never interrupted: bit by bit on a CPU with
            deterministic operations. A stream (`tf.data`) is iterated anew in every
            epoch, so that holds as far as its iterations are alike; what callbacks
            keep to themselves is theirs to save.
        save_steps: saves after every so many training steps of an epoch too.
        verbose: 0 is silent; 1 prints a line per epoch and a table per round.
        history: filled in as the job goes.
        **fit_arguments: passed on to `fit`: `class_weight`, `shuffle`,
            `steps_per_epoch`, and those that begin with `validation_`.

    Returns:
        A compiled model of plain Keras layers with the same layer names, no more MACs
        than `target_macs`, and at least 97 % of that where enough neurons may be
        split.

    Raises:
        ModelError: not compiled, no graph, or nothing can grow.
        BudgetError: the target is below the model's MACs, or no split fits.
        DataError: the dataset is empty or does not fit the model.
        NonFiniteLossError: the loss becomes NaN or infinite.
        RebuildError: a rebuilt model computes something else. The error's `model` is
            the one before that split, trained so far; `history` goes as far.
        CheckpointError: `checkpoint_dir` holds another job, or broken checkpoints only;
            `LockedError`: another process works there.
        Interrupted: `request_stop` or a signal (`stop_on_signals`) asked for it.
        SplittingError: an argument is out of range.

    Example:
        >>> model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss)
        >>> grown = tf_splitting.grow(model, (x, y), target_macs=2e8)
        >>> grown.save("grown.keras")

    Source: Wang et al., "Energy-Aware Neural Architecture Optimization with Fast
    Splitting Steepest Descent", arXiv 1910.03103.
    """
    options = Options(
        dataset=dataset,
        batch_size=batch_size,
        validation_data=validation_data,
        callbacks=callbacks,
        seed=seed,
        checkpoint_dir=checkpoint_dir,
        save_steps=save_steps,
        verbose=verbose,
        history=history,
        fit_arguments=fit_arguments,
    )
    arguments.whole("sample_size", sample_size, at_least=1, or_none=True)
    target_macs = arguments.number("target_macs", target_macs, above=0)
    split_untrainable = arguments.truth("split_untrainable", split_untrainable)
    check_epsilon(epsilon)
    chosen = _get_method(method, estimator)
    checks.check_compiled(model)
    graph = trace(model, split_untrainable=split_untrainable)
    selection = {
        "cost": cost,
        "target_cost": target_cost,
        "width_multiple": width_multiple,
        "max_widths": max_widths,
        "max_growth": max_growth,
    }
    macs = checks.check_budget(model, graph, target_macs, selection)
    checks.warn_if_little_grows(graph)
    schedule = plan_rounds(
        macs,
        target_macs,
        rounds=rounds,
        growth=growth,
        epochs=epochs,
        final_epochs=final_epochs,
    )
    settings = {
        **selection,
        "target_macs": target_macs,
        "rounds": rounds,
        "growth": growth,
        "epochs": epochs,
        "final_epochs": final_epochs,
        "epsilon": epsilon,
        "method": chosen,
        "split_untrainable": split_untrainable,
    }
    grown = options.run(
        model,
        settings,
        sample_size=sample_size or MOST_EXAMPLES,
        most_bytes=None if sample_size else MOST_BYTES,
        schedule=schedule,
        method=chosen,
        selection=selection,
        epsilon=epsilon,
        target=target_macs,
        verify=arguments.truth("verify", verify),
        split_untrainable=split_untrainable,
    )
    return to_plain(grown) if is_splittable(grown) else grown


def train(
    model: keras.Model,
    dataset: Any,
    *,
    epochs: int,
    batch_size: int | None = None,
    validation_data: Any = None,
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
    seed: int = 0,
    checkpoint_dir: str | Path | None = None,
    save_steps: int | None = None,
    verbose: int = 1,
    history: GrowthHistory | None = None,
    **fit_arguments: Any,
) -> keras.Model:
    """Trains a model as it is: the last phase of `grow` on its own.

    What a grown network is to be compared with gets the same batches, the same decay
    of the learning rate, and the same way of being saved and resumed.

    Args:
        model: compiled; trained in place.
        epochs: how many, while the learning rate decays to zero.
        dataset, batch_size, validation_data, callbacks, seed, checkpoint_dir,
        save_steps, verbose, history, **fit_arguments: see `grow`.

    Returns:
        The model.

    Raises:
        As `grow`, but for what has to do with splitting.

    Example:
        >>> tf_splitting.train(model, (x, y), epochs=10, checkpoint_dir="baseline")
    """
    options = Options(
        dataset=dataset,
        batch_size=batch_size,
        validation_data=validation_data,
        callbacks=callbacks,
        seed=seed,
        checkpoint_dir=checkpoint_dir,
        save_steps=save_steps,
        verbose=verbose,
        history=history,
        fit_arguments=fit_arguments,
    )
    checks.check_compiled(model)
    schedule = Schedule((), 0, arguments.whole("epochs", epochs, at_least=1))
    return options.run(
        model,
        {"epochs": epochs},
        sample_size=MEASURED,
        schedule=schedule,
        method=Splitting(),
        selection={},
        epsilon=DEFAULT_EPSILON,
        target=count_macs(model),
        verify=False,
        split_untrainable=False,
    )


def _get_method(method: str | Method, estimator: Estimator | None) -> Method:
    if not isinstance(method, str):
        if estimator is not None:
            raise SplittingError(
                "Got both a method object and an estimator; give the estimator to "
                "the method, for example methods.Splitting(estimator=...)."
            )
        expected = f"one of {sorted(METHODS)}, or an object with a method propose"
        return arguments.behaving("method", method, ["propose"], expected)
    arguments.one_of("method", method, METHODS, ", or a method object")
    if estimator is not None:
        if method != "splitting":
            raise SplittingError(f"Method {method!r} takes no estimator.")
        return Splitting(estimator=estimator)
    return METHODS[method]()
