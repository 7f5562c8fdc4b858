"""`grow` and `train`."""

from __future__ import annotations

from typing import Any

import keras

from tf_splitting.costs import count_macs
from tf_splitting.growing.arguments import TrainArguments
from tf_splitting.growing.checks import (
    check_budget,
    check_compiled,
    warn_if_little_grows,
)
from tf_splitting.growing.grow_arguments import GrowArguments
from tf_splitting.growing.preparing import run_job, run_rounds
from tf_splitting.growing.takes import takes
from tf_splitting.tracing import trace
from tf_splitting.training import (
    ComputeSchedule,
    EpochSchedule,
    Schedule,
    round_targets,
)


@takes(GrowArguments)
def grow(model: keras.Model, dataset: Any, arguments: GrowArguments) -> keras.Model:
    """Trains a model and grows it until its compute budget is used.

    Every round trains at a constant learning rate, measures what each neuron would gain
    by being split, splits the ones that gain most per cost, and rebuilds the model
    around them. After the last split the model trains while the learning rate decays to
    zero along half a cosine; an optimizer that follows a `LearningRateSchedule` keeps
    its own schedule throughout. `training_epochs` says how much compute all of that
    may take.

    Args:
        model: a compiled Functional or Sequential model. It is trained in place until
            the first split and left alone afterwards.
        dataset: what `model.fit` takes: `(x, y)` or `(x, y, sample_weight)` arrays,
            a `tf.data.Dataset`, a `keras.utils.PyDataset`; or an `ImageData`. Arrays
            and PyDatasets are shuffled unless `shuffle=False`; the order of an epoch is
            a function of the seed and its number. For `training_epochs` it has to be
            known how many batches there are.
        {arguments}

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
    check_compiled(model)
    graph = trace(model, split_untrainable=arguments.split_untrainable)
    macs = check_budget(model, graph, arguments.target_macs, arguments.selection)
    warn_if_little_grows(graph)
    targets = round_targets(
        macs,
        arguments.target_macs,
        rounds=arguments.rounds,
        growth=arguments.growth,
    )
    targets += (float(arguments.target_macs),) * arguments.reallocations
    share = arguments.growing_share
    return run_rounds(model, dataset, arguments, targets, macs, share)


@takes(TrainArguments)
def train(model: keras.Model, dataset: Any, arguments: TrainArguments) -> keras.Model:
    """Trains a model as it is: the last phase of `grow` on its own.

    What a grown network is to be compared with gets the same batches, the same decay
    of the learning rate, and the same way of being saved and resumed.

    Args:
        model: compiled; trained in place.
        dataset: see `grow`.
        {arguments}

    Returns:
        The model.

    Raises:
        As `grow`, but for what has to do with splitting.

    Example:
        >>> tf_splitting.train(model, (x, y), epochs=10, checkpoint_dir="baseline")
    """
    check_compiled(model)
    schedule: Schedule
    if arguments.epochs is not None:
        schedule = EpochSchedule((), 0, arguments.epochs)
    else:
        macs = count_macs(model)
        schedule = ComputeSchedule((macs,), macs, arguments.training_epochs or 0, 0)
    return run_job(model, dataset, arguments, schedule)
