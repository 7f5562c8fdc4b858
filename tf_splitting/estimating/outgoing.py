"""The gradient of the loss by outgoing weights: what new neurons gain, to first order.

A neuron whose outgoing weights b are zero leaves the loss as it is; a step of them
against their gradient g lowers it by what the optimizer makes of g: plain descent with
rate η by η |g|², a method that moves every weight by the same amount η, such as Adam,
by η Σ|g|.

On a small sample g is partly noise, and a norm takes noise for a gain. Gradients of the
two halves of the sample tell: what a step fitted to one half gains on the other is
honest, and may be less than nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from tf_splitting.data import Sample
from tf_splitting.errors import NonFiniteLossError
from tf_splitting.estimating.problem import flat_inputs, loss_function
from tf_splitting.estimating.product import gradients
from tf_splitting.tracing import ChannelGraph, Neurons, Slot, Step

tree = keras.tree
Norm = Literal["absolute", "squares"]


@dataclass(frozen=True)
class OutgoingGradients:
    """Gradients of the loss by all weights that growable neurons are read through.

    Attributes:
        neurons: of the model.
        slots: those weights, kernel by kernel.
        halves: gradient of the mean loss of each half of the sample, by slot, of the
            kernel's shape. One entry where the sample is not divided.
        moments: of what each slot's kernel reads, if asked for: mean over examples of
            the sum over positions of the products of two channels, `[n, n]`.
    """

    neurons: Neurons
    slots: Sequence[Slot]
    halves: Sequence[Sequence[np.ndarray]]
    moments: Sequence[np.ndarray] = ()

    def gains(self, norm: Norm) -> dict[str, np.ndarray]:
        """What each neuron would gain by a unit step of its outgoing weights.

        Where the sample is divided: the mean of what a step along either half's
        gradient gains on the other half.

        Args:
            norm: the step: against the gradient ("squares"), or by the same amount for
                every weight ("absolute").

        Returns:
            By name of the growable space, `[width]`.
        """
        gains = np.zeros(self.neurons.count)
        for mine, other in zip(self.halves, reversed(self.halves), strict=True):
            for slot, fitted, seen in zip(self.slots, mine, other, strict=True):
                step = np.sign(fitted) if norm == "absolute" else fitted
                gains += slot.sum(step * seen, self.neurons.count) / len(self.halves)
        growable = self.neurons.graph.growable
        return {space.name: self.neurons.of(space.name, gains) for space in growable}


def outgoing_gradients(
    model: keras.Model,
    graph: ChannelGraph,
    sample: Sample,
    *,
    role: Literal["consumed", "produced"] = "consumed",
    halves: bool = False,
    moments: bool = False,
    loss: Any = None,
    on_batch: Callable[[], None] = lambda: None,
) -> OutgoingGradients:
    """Gradients by outgoing weights: one forward and backward pass in inference mode.

    Args:
        model: compiled, unless `loss` is given.
        graph: its trace.
        sample: of whose mean loss the gradient is taken.
        role: "produced" for gradients by incoming weights in place of outgoing ones.
        halves: divide the sample: batches in turn go to either half.
        moments: of what the weights read, too.
        loss: as `estimate` takes it.
        on_batch: called after every batch.

    Raises:
        NonFiniteLossError: a gradient is NaN or infinite.
    """
    neurons = Neurons(graph)
    slots = [slot for slot in neurons.slots if slot.role == role]
    calculus = gradients.calculus(model, jit_compile=False)
    compute = calculus.compiled(
        _gradient_of(graph, loss_function(model, loss), slots, calculus, moments)
    )
    count = 2 if halves and len(sample.batches) > 1 else 1
    sums = [[np.zeros(slot.variable.shape) for slot in slots] for _ in range(count)]
    sizes = [0] * count
    squares: list[Any] = [0.0] * (len(slots) if moments else 0)
    for number, batch in enumerate(sample.batches):
        given = batch.x, flat_inputs(model, batch.x), batch.y, batch.sample_weight
        parts, seconds = calculus.read(compute(*calculus.placed(given)))
        half = number % count
        sizes[half] += batch.size
        for total, part in zip(sums[half], parts, strict=True):
            total += np.asarray(part, np.float64) * batch.size
        for place, second in enumerate(seconds):
            share = batch.size / sample.size
            squares[place] += np.asarray(second, np.float64) * share
        on_batch()
    found = [
        [total / size for total in parts]
        for parts, size in zip(sums, sizes, strict=True)
    ]
    if not all(np.isfinite(part).all() for parts in found for part in parts):
        raise NonFiniteLossError(
            "The gradient of the loss on the estimation sample is NaN or infinite. "
            "Check the data for NaN, or train with a smaller learning rate."
        )
    return OutgoingGradients(neurons, slots, found, squares)


def _gradient_of(
    graph: ChannelGraph,
    loss: Callable[..., Any],
    slots: list[Slot],
    calculus: gradients.Calculus,
    moments: bool,
) -> Callable[..., Any]:
    """The gradient of a batch's loss by some kernels, to be compiled."""
    variables = {weight.name: weight.variable for weight in graph.weights}
    names = [slot.weight for slot in slots]

    def gradient(x: Any, inputs: Any, y: Any, weight: Any) -> Any:
        def loss_at(kernels: list[Any]) -> Any:
            moved = dict(zip(names, kernels, strict=True))
            values = dict(zip(graph.inputs, inputs, strict=True))
            read: dict[str, Any] = {}
            for step in graph.steps:
                arguments = [values[i] for i in step.inputs]
                if step.kind == "linear":
                    name = step.kernel_name
                    kernel = moved.get(name, variables[name])
                    results = [step.run(arguments[0], kernel)]
                    if moments and name in moved:
                        read[name] = read.get(name, 0) + _moments(step, arguments[0])
                else:
                    results = tree.flatten(step.run(*arguments))
                values.update(zip(step.outputs, results, strict=True))
            value = loss(x, y, [values[i] for i in graph.outputs], weight)
            return value, [read[name] for name in names] if moments else []

        now = [ops.convert_to_tensor(variables[name].value) for name in names]
        value, read, pull = calculus.pullback(loss_at, now, has_aux=True)
        return calculus.combined((pull(ops.ones_like(value)), read))

    return gradient


def _moments(step: Step, x: Any) -> Any:
    """Products of two channels, summed over positions, their mean over examples.

    Returns:
        `[n, n]`.
    """
    flat = ops.moveaxis(x, step.axis, -1)
    flat = ops.reshape(flat, (-1, flat.shape[-1]))
    examples = ops.cast(ops.shape(x)[0], flat.dtype)
    return ops.matmul(ops.transpose(flat), flat) / examples
