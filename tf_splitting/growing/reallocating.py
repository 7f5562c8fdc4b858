"""`reallocate`."""

from __future__ import annotations

from typing import Any

import keras

from tf_splitting.growing.checks import (
    check_compiled,
    check_reallocatable,
    check_rebuildable,
)
from tf_splitting.growing.opening import hand_out, with_graph
from tf_splitting.growing.reallocate_arguments import ReallocateArguments
from tf_splitting.growing.running import run_rounds
from tf_splitting.growing.takes import takes
from tf_splitting.tracing import trace


@takes(ReallocateArguments)
def reallocate(
    model: keras.Model, dataset: Any, arguments: ReallocateArguments
) -> keras.Model:
    """Trains a model and moves its neurons to where they gain more, its budget kept.

    Every round trains at a constant learning rate, measures on the same sample what the
    loss would rise by without each neuron and what splitting each one would gain, and
    exchanges neurons as long as one more gains more than it displaces. Neurons that
    were added stay for a round. It ends early once no exchange pays. After the last one
    the model trains while the learning rate decays to zero along half a cosine; an
    optimizer that follows a `LearningRateSchedule` keeps its own schedule throughout.

    Args:
        model: a compiled Functional or Sequential model. It is trained in place until
            the first exchange and left alone afterwards. For others see `grow`.
        dataset: see `grow`.
        {arguments}

    Returns:
        A compiled model of plain Keras layers with the same layer names, of no more
        MACs and no higher cost.

    Raises:
        ModelError: not compiled, no graph, or nothing can change.
        SplittingError: as `grow`, else.

    Example:
        >>> model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss)
        >>> better = tf_splitting.reallocate(model, (x, y), training_epochs=10)
        >>> better.save("better.keras")
    """
    given, model = model, with_graph(model, dataset)
    check_compiled(model)
    untrainable = arguments.split_untrainable
    graph = trace(model, split_untrainable=untrainable)
    macs = check_reallocatable(model, graph, arguments)
    check_rebuildable(model, graph, split_untrainable=untrainable)
    targets = (float(macs),) * (arguments.rounds or 0)
    share = arguments.reallocating_share
    handed_out = hand_out(given, model, graph, split_untrainable=untrainable)
    result = run_rounds(model, dataset, arguments, targets, macs, share)
    return handed_out(result)
