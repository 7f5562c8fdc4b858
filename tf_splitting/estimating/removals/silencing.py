"""How the loss of every example changes, to first order, when a neuron falls silent.

Tails are channel-wise: without neuron i, consumers read 0 (or, where its mean output is
folded into what follows, the mean m) in its place and the same as before in all others.
With z what a consumer reads of it and g the gradient of example n's loss there, the
loss of this example changes by

    s_n = -Σ g (z - m)

to first order, summed over positions and consumers. One forward and backward pass gives
it for all neurons of all spaces; means take a forward pass of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from tf_splitting.data import Batch, Sample
from tf_splitting.errors import NonFiniteLossError
from tf_splitting.estimating.problem import flat_inputs, loss_function
from tf_splitting.estimating.product import gradients
from tf_splitting.estimating.product.tails import find_tails
from tf_splitting.tracing import ChannelGraph, Neurons, Step

tree = keras.tree
# What a pass over the sample costs, and one for means before it, in training steps
# over the same examples: docs/estimates.md, "What measuring removals costs".
PASS_STEPS, MEANS_STEPS = 0.56, 0.28


class Silenced(NamedTuple):
    """Moments of s over the sample.

    Attributes:
        loss: on the sample.
        first: mean of s, `[neurons]`.
        second: mean of s², `[neurons]`.
        batches: mean of s over each batch, `[batches, neurons]`.
    """

    loss: float
    first: np.ndarray
    second: np.ndarray
    batches: np.ndarray


class Silencing:
    """A model and a sample, of which neurons are thought away.

    Attributes:
        model, graph, sample: see `estimate_removals`.
        neurons: the model's neurons.
    """

    def __init__(
        self,
        model: keras.Model,
        graph: ChannelGraph,
        sample: Sample,
        *,
        loss: Any = None,
        jit_compile: bool = False,
        on_batch: Callable[[], None] = lambda: None,
    ) -> None:
        self.model = model
        self.graph = graph
        self.sample = sample
        self.neurons = Neurons(graph)
        self._on_batch = on_batch
        self._given_loss = loss
        self._kernels = {weight.name: weight.variable for weight in graph.weights}
        produced = {s.weight for s in self.neurons.slots if s.role == "produced"}
        self._tails = find_tails(graph.steps, produced, ())
        self._calculus = gradients.calculus(model, jit_compile)

    def silenced(self, *, fold: bool) -> Silenced:
        """Takes a pass over the sample, and one before it for means.

        Args:
            fold: whether mean outputs stay.

        Raises:
            NonFiniteLossError: the loss or a gradient is NaN or infinite.
        """
        means = self._means() if fold else [0.0] * len(self._tails.readers)
        compute = self._calculus.compiled(self._moments)
        count, size = self.neurons.count, self.sample.size
        loss, first, second, batches = 0.0, np.zeros(count), np.zeros(count), []
        for batch in self.sample.batches:
            placed = self._placed(batch)
            value, mean, square = self._calculus.read(compute(*placed, means))
            share = batch.size / size
            loss += float(value) * share
            first += mean * share
            # The gradient of a batch's mean is that of an example's loss over its size.
            second += square * batch.size * share
            batches.append(mean)
            self._on_batch()
        if not (np.isfinite(loss) and np.isfinite(second).all()):
            raise NonFiniteLossError(
                f"The loss of the estimation sample is {loss}, or its gradient is not "
                "finite. Check the data for NaN, or train with a smaller learning rate."
            )
        return Silenced(loss, first, second, np.array(batches))

    def _means(self) -> list[Any]:
        """Mean of what every reader reads, by position of its channels, `[length]`."""
        compute = self._calculus.compiled(self._sums)
        sums: list[Any] = [0.0] * len(self._tails.readers)
        for batch in self.sample.batches:
            parts = self._calculus.read(compute(*self._placed(batch)))
            sums = [s + p for s, p in zip(sums, parts, strict=True)]
            self._on_batch()
        dtype = self.model.variable_dtype
        return [
            ops.convert_to_tensor((total / self.sample.size).astype(dtype))
            for total in sums
        ]

    def _placed(self, batch: Batch) -> Any:
        inputs = flat_inputs(self.model, batch.x)
        return self._calculus.placed((batch.x, inputs, batch.y, batch.sample_weight))

    def _sums(self, x: Any, inputs: Any, y: Any, weight: Any) -> Any:
        """Sum over examples of the mean over positions, by reader."""
        _, values, _ = self._forward(x, inputs, y, weight)
        sums = []
        for index in self._tails.readers:
            read = self._by_channel(index, values)
            sums.append(ops.sum(ops.mean(read, axis=1), axis=0))
        return self._calculus.combined(sums)

    def _moments(self, x: Any, inputs: Any, y: Any, weight: Any, means: Any) -> Any:
        """Loss, and sums over examples of s and s², which count by their share."""
        steps, readers = self.graph.steps, self._tails.readers
        edges = self._calculus.edges(
            lambda at_edge, _: self._forward(x, inputs, y, weight, at_edge),
            {i: steps[i].outputs[0] for i in readers},
            self._tails.starts,
            {},
        )
        total: Any = 0.0
        for index, mean in zip(readers, means, strict=True):
            step = steps[index]
            kernel = ops.convert_to_tensor(self._kernels[step.kernel_name].value)
            source = edges.values[step.inputs[0]]
            _, pull = self._calculus.pullback(_reading(step, kernel), source)
            gradient = _by_channel(pull(edges.gradients[index]), step.axis)
            change = gradient * (_by_channel(source, step.axis) - mean)
            change = -ops.sum(change, axis=1)
            ids = self.neurons.consumed[step.kernel_name] + 1
            total += ops.segment_sum(
                ops.transpose(change), ids, num_segments=self.neurons.count + 1
            )
        total = total[1:]
        sums = ops.sum(total, axis=1), ops.sum(ops.square(total), axis=1)
        return self._calculus.combined((edges.loss, *sums))

    def _forward(
        self,
        x: Any,
        inputs: Any,
        y: Any,
        weight: Any,
        at_edge: Callable[[int, list[Any]], list[Any]] = lambda _, results: results,
    ) -> Any:
        """Loss, tensors by number, no masks."""
        values = dict(zip(self.graph.inputs, inputs, strict=True))
        for index, step in enumerate(self.graph.steps):
            arguments = [values[i] for i in step.inputs]
            if step.kind == "linear":
                results = [step.run(arguments[0], self._kernels[step.kernel_name])]
            else:
                results = tree.flatten(step.run(*arguments))
            values.update(zip(step.outputs, at_edge(index, results), strict=True))
        outputs = [values[i] for i in self.graph.outputs]
        loss = loss_function(self.model, self._given_loss)
        return loss(x, y, outputs, weight), values, {}

    def _by_channel(self, index: int, values: Any) -> Any:
        step = self.graph.steps[index]
        return _by_channel(values[step.inputs[0]], step.axis)


def _reading(step: Step, kernel: Any) -> Callable[[Any], Any]:
    return lambda z: step.run(z, kernel)


def _by_channel(tensor: Any, axis: int) -> Any:
    """As `[examples, positions, channels]`."""
    tensor = ops.moveaxis(tensor, axis, -1)
    shape = ops.shape(tensor)
    return ops.reshape(tensor, (shape[0], -1, tensor.shape[-1]))
