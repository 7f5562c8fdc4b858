"""The splitting product on the TensorFlow backend: all its gradient calls.

For all neurons of a model at once (see `ARCHITECTURE.md` for the derivation). With the
linear outputs u, the consumer inputs z = tail(u), G = ∂L/∂z at the consumer's edge,
and δ = ∂L/∂(consumer's output), a direction (v, γ) has the quadratic form

    Q = <G, tail(u + ε u_v) + tail(u - ε u_v) - 2 tail(u)> / ε²
      + <Gγ, tail(u + ε u_v) - tail(u - ε u_v)> / ε,     u_v = linear(x, v)

where Gγ is δ pulled back through the consumer with kernel γ in place of its own. Half
the gradient of Q is the product of the splitting matrix with (v, γ). Tails are
channel-wise and meet linear steps at both ends, so one evaluation of all tails
together serves every space.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from tf_splitting.graph import ChannelGraph, Step
from tf_splitting.keras_graph import mask_of, with_mask

LossFunction = Callable[[Any, Any, Any, Any], Any]


def make_product(
    graph: ChannelGraph,
    loss: LossFunction,
    slots: list[tuple[str, str]],
    epsilon: float,
    jit_compile: bool,
) -> Callable[..., tuple[Any, list[Any]]]:
    """Compiles the splitting product of a traced model.

    Args:
        graph: the model.
        loss: `loss(x, y, outputs, sample_weight)`, a scalar.
        slots: (kernel name, role) of each part of a direction.
        epsilon: step of the finite difference, relative.
        jit_compile: compile with XLA.

    Returns:
        `product(x, inputs, y, sample_weight, tangents) -> (loss, products)`. `inputs`
        are the model's input tensors, flat; `tangents` one array of the kernel's shape
        per slot, in the weights' own units; `products` alike.
    """
    kernels = {weight.name: weight.variable for weight in graph.weights}
    steps = graph.steps
    linear = [i for i, step in enumerate(steps) if step.kind == "linear"]
    incoming = {n: i for i, (n, role) in enumerate(slots) if role == "produced"}
    outgoing = {n: i for i, (n, role) in enumerate(slots) if role == "consumed"}
    affected = _affected_steps(steps, incoming)
    edges = sorted(affected.edges)

    @tf.function(jit_compile=jit_compile, reduce_retracing=True, autograph=False)
    def product(x, inputs, y, sample_weight, tangents):
        values = dict(zip(graph.inputs, inputs, strict=True))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for index, step in enumerate(steps):
                arguments = [values[i] for i in step.inputs]
                if step.kind == "linear":
                    if index in affected.edges:
                        # The edge's own identity: a tensor that also feeds an Add
                        # carries the gradient of that path too.
                        x = arguments[0]
                        arguments[0] = with_mask(tf.identity(x), mask_of(x))
                        tape.watch(arguments[0])
                    values["edge", index] = arguments[0]
                    results = [step.run(arguments[0], kernels[step.kernel])]
                else:
                    results = tf.nest.flatten(step.run(*arguments))
                values.update(zip(step.outputs, results, strict=True))
            outputs = [values[i] for i in graph.outputs]
            total = loss(x, y, outputs, sample_weight)
        wanted = [values["edge", i] for i in edges]
        wanted += [values[steps[i].outputs[0]] for i in edges]
        found = tape.gradient(
            total, wanted, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        at_edge = dict(zip(edges, found[: len(edges)], strict=True))
        at_output = dict(zip(edges, found[len(edges) :], strict=True))

        moves, pulled = {}, {}
        for index in linear:
            step = steps[index]
            if step.kernel in incoming:
                tangent = tangents[incoming[step.kernel]]
                moves[index] = step.run(values["edge", index], tangent)
        for index in edges:
            step = steps[index]
            if step.kernel in outgoing:
                tangent = tangents[outgoing[step.kernel]]
                pulled[index] = _input_gradient(
                    step, values["edge", index], tangent, at_output[index]
                )

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(moves.values()))
            plus = _shifted(steps, affected, values, moves, epsilon)
            minus = _shifted(steps, affected, values, moves, -epsilon)
            form, slopes = 0.0, {}
            for index in edges:
                source = steps[index].inputs[0]
                z, up, down = values["edge", index], plus[source], minus[source]
                bend = (up + down - 2 * z) / epsilon**2
                slopes[index] = (up - down) / epsilon
                form += _dot(at_edge[index], bend)
                if index in pulled:
                    form += _dot(pulled[index], slopes[index])
        found = tape.gradient(
            form,
            list(moves.values()),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

        products = [tf.zeros_like(tangent) for tangent in tangents]
        for index, gradient in zip(moves, found, strict=True):
            step, slot = steps[index], incoming[steps[index].kernel]
            products[slot] += 0.5 * _kernel_gradient(
                step, values["edge", index], tangents[slot], gradient
            )
        for index, slope in slopes.items():
            if steps[index].kernel in outgoing:
                slot = outgoing[steps[index].kernel]
                products[slot] += 0.5 * _kernel_gradient(
                    steps[index], slope, tangents[slot], at_output[index]
                )
        return total, products

    return product


@dataclass(frozen=True)
class _Affected:
    """What a perturbation of the growable spaces reaches before the next consumer.

    Numbers of the channel-wise steps it passes, of the tensors it changes, and of the
    linear steps whose input it changes.
    """

    steps: set[int] = field(default_factory=set)
    tensors: set[int] = field(default_factory=set)
    edges: set[int] = field(default_factory=set)


def _affected_steps(steps: tuple[Step, ...], producing: Collection[str]) -> _Affected:
    affected = _Affected()
    for index, step in enumerate(steps):
        reached = any(i in affected.tensors for i in step.inputs)
        if step.kind == "linear":
            if reached:
                affected.edges.add(index)
            if step.kernel in producing:
                affected.tensors.update(step.outputs)
        elif step.kind == "channelwise" and reached:
            affected.steps.add(index)
            affected.tensors.update(step.outputs)
    return affected


def _shifted(
    steps: tuple[Step, ...],
    affected: _Affected,
    values: dict[Any, Any],
    moves: dict[int, Any],
    step_size: float,
) -> dict[int, Any]:
    """Values of all tails when every linear output is moved by `step_size`."""
    shifted = {}
    for index, move in moves.items():
        (output,) = steps[index].outputs
        u = values[output]
        shifted[output] = with_mask(u + step_size * move, mask_of(u))
    for index in sorted(affected.steps):
        step = steps[index]
        arguments = [shifted.get(i, values[i]) for i in step.inputs]
        (shifted[step.outputs[0]],) = tf.nest.flatten(step.run(*arguments))
    return shifted


def _dot(a: Any, b: Any) -> Any:
    return tf.reduce_sum(a * b)


def _input_gradient(step: Step, x: Any, kernel: Any, upstream: Any) -> Any:
    # Linear steps need their forward value nowhere: the graph optimizer prunes it.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        u = step.run(x, kernel)
    return tape.gradient(u, x, output_gradients=upstream)


def _kernel_gradient(step: Step, x: Any, kernel: Any, upstream: Any) -> Any:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(kernel)
        u = step.run(x, kernel)
    # The gradient of an embedding is a list of rows.
    return tf.convert_to_tensor(tape.gradient(u, kernel, output_gradients=upstream))
