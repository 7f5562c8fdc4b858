"""`grow` and `train`."""

from __future__ import annotations

from typing import Any

import keras

from tf_splitting.costs import count_macs
from tf_splitting.growing.arguments import TrainArguments
from tf_splitting.growing.checks import (
    check_budgets,
    check_compiled,
    check_rebuildable,
    warn_if_little_grows,
)
from tf_splitting.growing.grow_arguments import GrowArguments
from tf_splitting.growing.opening import can_reopen, hand_out, was_fixed, with_graph
from tf_splitting.growing.running import run_family, run_job, run_rounds
from tf_splitting.growing.takes import takes
from tf_splitting.rebuilding import reopened
from tf_splitting.tracing import trace
from tf_splitting.training import (
    ComputeSchedule,
    EpochSchedule,
    Schedule,
    round_targets,
)


@takes(GrowArguments)
def grow(model: keras.Model, dataset: Any, arguments: GrowArguments) -> Any:
    """Trains a model and grows it until its compute budget is used.

    Every round trains at a constant learning rate, measures what each neuron would gain
    by being split, splits the ones that gain most per cost, and rebuilds the model
    around them. After the last split the model trains while the learning rate decays to
    zero along half a cosine; an optimizer that follows a `LearningRateSchedule` keeps
    its own schedule throughout. `training_epochs` says how much compute all of that
    may take.

    With several targets one job passes through all of them and returns a family of
    models. At each target a copy is trained to the end of its decay, which is a member;
    the job itself grows on at the full rate.

    Args:
        model: a compiled Functional or Sequential model. It is trained in place until
            the first split and left alone afterwards. Of a subclassed one, and of one
            whose open sizes keep layers closed or costs unknown while all data has one
            size, a model made by `to_functional` is grown in its place, at the size of
            the data.
        dataset: what `model.fit` takes: `(x, y)` or `(x, y, sample_weight)` arrays,
            a `tf.data.Dataset`, a `keras.utils.PyDataset`, a PyTorch `DataLoader`; or
            an `ImageData`. Arrays and PyDatasets are shuffled unless `shuffle=False`;
            their order, and what a DataLoader draws, is a function of the seed and the
            number of the epoch. For `training_epochs` it has to be known how many
            batches there are.
        {arguments}

    Returns:
        A compiled model of plain Keras layers with the same layer names, no more MACs
        than `target_macs`, and at least 97 % of that where enough neurons may be
        split. With several targets, a tuple of such models, one for each. (Which of the
        two is not known to type checkers: to them it is `Any`.) Sizes that `model`
        leaves open are open in it too, unless layers need them in order to grow, as
        decoders of language models do.

    Raises:
        ModelError: not compiled, no graph, or nothing can grow.
        BudgetError: the target is below the model's MACs, no split fits, or targets are
            so close together that one model meets two.
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
        >>> small, large = tf_splitting.grow(model, (x, y), target_macs=[1e8, 2e8])

    Source: Wang et al., "Energy-Aware Neural Architecture Optimization with Fast
    Splitting Steepest Descent", arXiv 1910.03103.
    """
    given, model = model, with_graph(model, dataset)
    check_compiled(model)
    untrainable = arguments.split_untrainable
    graph = trace(model, split_untrainable=untrainable)
    targets = arguments.targets
    macs = check_budgets(model, graph, targets, arguments.selection)
    check_rebuildable(model, graph, split_untrainable=untrainable)
    warn_if_little_grows(graph)
    rounds = _rounds(macs, arguments)
    handed_out = hand_out(given, model, graph, split_untrainable=untrainable)
    if arguments.several:
        return run_family(model, dataset, arguments, rounds, macs, handed_out)
    share = arguments.growing_share
    result = run_rounds(model, dataset, arguments, rounds[0], macs, share)
    return handed_out(result)


def _rounds(macs: float, arguments: GrowArguments) -> list[tuple[float, ...]]:
    """For each target, MACs after each of the rounds that lead to it."""
    found: list[tuple[float, ...]] = []
    path: tuple[float, ...] = ()
    for target in arguments.targets:
        path += round_targets(
            macs, target, rounds=arguments.rounds, growth=arguments.growth
        )
        found.append(path + (target,) * arguments.reallocations)
        macs = target
    return found


@takes(TrainArguments)
def train(model: keras.Model, dataset: Any, arguments: TrainArguments) -> keras.Model:
    """Trains a model as it is: the last phase of `grow` on its own.

    What a grown network is to be compared with gets the same batches, the same decay
    of the learning rate, and the same way of being saved and resumed.

    Args:
        model: compiled; trained in place, if it has a graph and its MACs are known. For
            others see `grow`.
        dataset: see `grow`.
        {arguments}

    Returns:
        The model, or the one that was trained in its place, with its sizes open again
        if all its layers can be made anew like that.

    Raises:
        As `grow`, but for what has to do with splitting.

    Example:
        >>> tf_splitting.train(model, (x, y), epochs=10, checkpoint_dir="baseline")
    """
    given, model = model, with_graph(model, dataset)
    check_compiled(model)
    schedule: Schedule
    if arguments.epochs is not None:
        schedule = EpochSchedule((), 0, arguments.epochs)
    else:
        macs = count_macs(model)
        schedule = ComputeSchedule((macs,), macs, arguments.training_epochs or 0, 0)
    opens = was_fixed(given, model) and can_reopen(model, given)
    result = run_job(model, dataset, arguments, schedule)
    return reopened(result, given) if opens else result
