"""`shrink`."""

from __future__ import annotations

from typing import Any

import keras

from tf_splitting.growing.checks import (
    check_compiled,
    check_rebuildable,
    check_shrinkable,
)
from tf_splitting.growing.opening import hand_out, with_graph
from tf_splitting.growing.running import run_rounds
from tf_splitting.growing.shrink_arguments import ShrinkArguments
from tf_splitting.growing.takes import takes
from tf_splitting.tracing import trace
from tf_splitting.training import round_targets


@takes(ShrinkArguments)
def shrink(model: keras.Model, dataset: Any, arguments: ShrinkArguments) -> keras.Model:
    """Trains a model and removes neurons until it fits its compute budget.

    Every round trains at a constant learning rate, measures what the loss would rise by
    without each neuron, removes those that cost least per what they free, and rebuilds
    the model without them. After the last removal the model trains while the learning
    rate decays to zero along half a cosine; an optimizer that follows a
    `LearningRateSchedule` keeps its own schedule throughout.

    Args:
        model: a compiled Functional or Sequential model. It is trained in place until
            the first removal and left alone afterwards. For others see `grow`.
        dataset: see `grow`.
        {arguments}

    Returns:
        A compiled model of plain Keras layers with the same layer names, and no more
        MACs than `target_macs`.

    Raises:
        ModelError: not compiled, no graph, or nothing can be smaller.
        BudgetError: the model meets the target already, or cannot meet it.
        SplittingError: as `grow`, else.

    Example:
        >>> model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss)
        >>> smaller = tf_splitting.shrink(model, (x, y), target_macs=1e8)
        >>> smaller.save("smaller.keras")
    """
    given, model = model, with_graph(model, dataset)
    check_compiled(model)
    untrainable = arguments.split_untrainable
    graph = trace(model, split_untrainable=untrainable)
    macs = check_shrinkable(model, graph, arguments)
    check_rebuildable(model, graph, split_untrainable=untrainable)
    targets = round_targets(
        macs,
        min(arguments.target_macs, macs),
        rounds=arguments.rounds,
        growth=arguments.shrinkage,
    )
    share = arguments.shrinking_share
    handed_out = hand_out(given, model, graph, split_untrainable=untrainable)
    result = run_rounds(model, dataset, arguments, targets, macs, share)
    return handed_out(result)
