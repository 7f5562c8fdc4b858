"""The gradient of the loss by outgoing weights: what new neurons gain, to first order.

A neuron whose outgoing weights b are zero leaves the loss as it is; a step of them
against their gradient g lowers it by what the optimizer makes of g: plain descent with
rate η by η |g|², a method that moves every weight by the same amount η, such as Adam,
by η Σ|g|.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from tf_splitting.data import Sample
from tf_splitting.errors import NonFiniteLossError
from tf_splitting.estimating.problem import flat_inputs, loss_function
from tf_splitting.estimating.product import gradients
from tf_splitting.tracing import ChannelGraph, Neurons

tree = keras.tree
Norm = Literal["absolute", "squares"]
NORMS = ("absolute", "squares")


def outgoing_gains(
    model: keras.Model,
    graph: ChannelGraph,
    sample: Sample,
    *,
    norm: Norm,
    loss: Any = None,
    on_batch: Callable[[], None] = lambda: None,
) -> dict[str, np.ndarray]:
    """What each neuron would gain by a unit step of its outgoing weights.

    One forward and one backward pass over the sample, in inference mode.

    Args:
        model: compiled, unless `loss` is given.
        graph: its trace.
        sample: of whose mean loss the gradient is taken.
        norm: "absolute" values of the gradient's entries or "squares", summed.
        loss: as `estimate` takes it.
        on_batch: called after every batch.

    Returns:
        By name of the growable space, `[width]`.

    Raises:
        NonFiniteLossError: a gradient is NaN or infinite.
    """
    neurons = Neurons(graph)
    slots = [slot for slot in neurons.slots if slot.role == "consumed"]
    calculus = gradients.calculus(model, jit_compile=False)
    compute = calculus.compiled(
        _gradient_of(graph, loss_function(model, loss), slots, calculus)
    )
    totals = [np.zeros(slot.variable.shape) for slot in slots]
    for batch in sample.batches:
        given = batch.x, flat_inputs(model, batch.x), batch.y, batch.sample_weight
        parts = calculus.read(compute(*calculus.placed(given)))
        for total, part in zip(totals, parts, strict=True):
            total += np.asarray(part, np.float64) * (batch.size / sample.size)
        on_batch()
    if not all(np.isfinite(total).all() for total in totals):
        raise NonFiniteLossError(
            "The gradient of the loss on the estimation sample is NaN or infinite. "
            "Check the data for NaN, or train with a smaller learning rate."
        )
    gains = np.zeros(neurons.count)
    for slot, total in zip(slots, totals, strict=True):
        size = np.abs(total) if norm == "absolute" else np.square(total)
        gains += slot.sum(size, neurons.count)
    return {space.name: neurons.of(space.name, gains) for space in graph.growable}


def _gradient_of(
    graph: ChannelGraph,
    loss: Callable[..., Any],
    slots: list[Any],
    calculus: gradients.Calculus,
) -> Callable[..., Any]:
    """The gradient of a batch's loss by some kernels, to be compiled."""
    variables = {weight.name: weight.variable for weight in graph.weights}
    names = [slot.weight for slot in slots]

    def gradient(x: Any, inputs: Any, y: Any, weight: Any) -> Any:
        def loss_at(kernels: list[Any]) -> Any:
            moved = dict(zip(names, kernels, strict=True))
            values = dict(zip(graph.inputs, inputs, strict=True))
            for step in graph.steps:
                arguments = [values[i] for i in step.inputs]
                if step.kind == "linear":
                    name = step.kernel_name
                    kernel = moved.get(name, variables[name])
                    results = [step.run(arguments[0], kernel)]
                else:
                    results = tree.flatten(step.run(*arguments))
                values.update(zip(step.outputs, results, strict=True))
            return loss(x, y, [values[i] for i in graph.outputs], weight)

        now = [ops.convert_to_tensor(variables[name].value) for name in names]
        value, pull = calculus.pullback(loss_at, now)
        return calculus.combined(pull(ops.ones_like(value)))

    return gradient
