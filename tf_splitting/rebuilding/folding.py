"""What removed neurons gave their consumers on average, and who gives it instead.

A consumer is linear in what it reads: without some neurons its output u falls, over a
sample and all positions, by the mean of `linear(mean input, kernel of these neurons)`
on average. The bias behind it is raised by as much; where there is none, the moving
mean of a batch normalization that reads u alone falls by as much, which is the same to
inference (in training mode statistics of the batch make up for a constant anyway).
Behind a consumer that has neither nothing is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras.ops import convert_to_numpy, convert_to_tensor

from tf_splitting.data import Sample
from tf_splitting.estimating import flat_inputs
from tf_splitting.tracing import ChannelGraph, Step, WeightUse, as_numpy
from tf_splitting.tracing import layout as lay


def folded(
    model: keras.Model,
    graph: ChannelGraph,
    removals: Mapping[str, list[int]],
    sample: Sample,
) -> dict[str, np.ndarray]:
    """What is added to biases and moving means, by the name of the weight.

    Args:
        model: that neurons are removed of.
        graph: its trace.
        removals: which, by space.
        sample: to take means over.

    Returns:
        Arrays of the old weights' shapes. A weight behind a layer that is called
        several times gets the mean of what the calls ask for.
    """
    gone = {space.name: np.zeros(space.width) for space in graph.spaces}
    for space, indices in removals.items():
        gone[space][indices] = 1.0
    kernels = {}
    for number, step in enumerate(graph.steps):
        if step.kind == "linear":
            weight = graph.weight(step.kernel_name)
            masks = _masks(weight, gone)
            if masks.any() and (place := _behind(graph, step)) is not None:
                kernels[number] = masks * as_numpy(weight.variable), place
    means = _mean_inputs(model, graph, sample, set(kernels))
    found: dict[str, list[np.ndarray]] = {}
    for number, (kernel, (name, sign)) in kernels.items():
        step = graph.steps[number]
        lost = convert_to_numpy(step.run(means[number], convert_to_tensor(kernel)))
        others = tuple(i for i in range(lost.ndim) if i != step.axis % lost.ndim)
        lost = lost.astype("float64").mean(others)
        found.setdefault(name, []).append(sign * lost)
    return {name: np.mean(each, axis=0) for name, each in found.items()}


def _masks(weight: WeightUse, gone: Mapping[str, np.ndarray]) -> np.ndarray:
    """1 where a removed neuron is read, to multiply the kernel with."""
    mask = np.zeros((1,) * len(weight.variable.shape))
    for use in weight.axes:
        if use.role == "consumed":
            mask = np.maximum(mask, lay.along(use.layout, gone, mask.ndim, use.axis))
    return mask


def _behind(graph: ChannelGraph, step: Step) -> tuple[str, float] | None:
    """Name of the weight that can make up for a constant, and with which sign."""
    weights = {weight.name for weight in graph.weights}
    bias = f"{step.layer}/bias"
    if bias in weights:
        return bias, 1.0
    (output,) = step.outputs
    readers = [reader for reader in graph.steps if output in reader.inputs]
    if len(readers) != 1 or output in graph.outputs:
        return None
    mean = f"{readers[0].layer}/moving_mean"
    return (mean, -1.0) if mean in weights else None


def _mean_inputs(
    model: keras.Model, graph: ChannelGraph, sample: Sample, numbers: set[int]
) -> dict[int, Any]:
    """The mean over a sample of what some steps read, by their numbers, as tensors."""
    sums: dict[int, np.ndarray] = {}
    last = {i: n for n, step in enumerate(graph.steps) for i in step.inputs}
    for batch in sample.batches:
        inputs = flat_inputs(model, batch.x)
        values: dict[int, Any] = dict(zip(graph.inputs, inputs, strict=True))
        for number, step in enumerate(graph.steps):
            arguments = [values[i] for i in step.inputs]
            if number in numbers:
                read = convert_to_numpy(arguments[0])
                read = read.sum(0, dtype="float64", keepdims=True)
                sums[number] = sums.get(number, 0.0) + read
            if number == max(numbers, default=-1):
                break
            if step.kernel is not None:
                arguments.append(graph.weight(step.kernel).variable)
            results = keras.tree.flatten(step.run(*arguments))
            values.update(zip(step.outputs, results, strict=True))
            for i in step.inputs:
                if last[i] == number:
                    values.pop(i, None)
    dtype = model.variable_dtype
    return {
        number: convert_to_tensor((total / sample.size).astype(dtype))
        for number, total in sums.items()
    }
