"""The splitting product on the TensorFlow backend: all its gradient calls.

For all neurons of a model at once (see `ARCHITECTURE.md` for the derivation). Moving
the linear outputs u by ±ε u_v, with u_v = linear(x, v), moves whatever lies between
them and the next linear steps. Steps that are affine carry the change ṫ along; a step
f that is not bends it, and the loss feels the bend by its gradient g there. With δ the
gradient at the output of a consumer and ż the change of its input,

    Q(v, γ) = Σ_f <g, f(t + ε ṫ) + f(t - ε ṫ) - 2 f(t)> / ε² + 2 <δ, linear(ż, γ)>

is the quadratic form of the splitting matrices, and half its gradient the product with
them. Where f'' is known, the first term is <g f''(t), ṫ²>. Everything but ṫ and ż is
the same for every direction: `linearize` computes it once for a batch.

Tails are channel-wise and meet linear steps at both ends, so one evaluation of all
tails together serves every space.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import tensorflow as tf

from tf_splitting.estimators.curves import Curve, curve_of
from tf_splitting.estimators.folding import folded
from tf_splitting.graph import ChannelGraph, Step
from tf_splitting.keras_graph import mask_of, with_mask

LossFunction = Callable[[Any, Any, Any, Any], Any]


class Point(NamedTuple):
    """What a batch contributes to every product, by number of the step.

    Attributes:
        inputs: of linear steps that produce neurons.
        deltas: gradient at the output of linear steps that consume them.
        slopes, bends: of activations, the bend times g.
        arguments, gradients: inputs and g of other steps that are not affine, and
            inputs of affine ones of which some do not move.
        masks: Keras masks, by number of the tensor.
    """

    inputs: dict[int, Any]
    deltas: dict[int, Any]
    slopes: dict[int, Any]
    bends: dict[int, Any]
    arguments: dict[int, list[Any]]
    gradients: dict[int, Any]
    masks: dict[int, Any]

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        tensors = tf.nest.flatten(tuple(self))
        return sum(t.shape.num_elements() * t.dtype.size for t in tensors)


@dataclass(frozen=True)
class Product:
    """Compiled functions of a traced model.

    Attributes:
        linearize: `(x, inputs, y, sample_weight) -> (loss, point)`; `inputs` are the
            model's input tensors, flat.
        at: `(point, tangents) -> products`; `tangents` are one array of the kernel's
            shape per slot, in the weights' own units; `products` alike.
        whole: both in one, without keeping the point.
        curvatures: `(x, inputs, y, sample_weight, tangents) -> curvatures`: by what
            2 / ε² times the change of the loss comes to when each neuron is split by ε
            along its tangent, linear in the outputs of its consumers only. One number
            for every position of a kernel's consumed axis, `[length]`, by kernel; their
            sums over a neuron's positions in all kernels count.
    """

    linearize: Callable[..., tuple[Any, Point]]
    at: Callable[..., list[Any]]
    whole: Callable[..., tuple[Any, list[Any]]]
    curvatures: Callable[..., dict[str, Any]]


def make_product(
    graph: ChannelGraph,
    loss: LossFunction,
    slots: list[tuple[str, str]],
    epsilon: float,
    jit_compile: bool,
) -> Product:
    """Compiles the splitting product of a traced model.

    Args:
        graph: the model.
        loss: `loss(x, y, outputs, sample_weight)`, a scalar.
        slots: (kernel name, role) of each part of a direction.
        epsilon: step of the finite differences, relative.
        jit_compile: compile with XLA.
    """
    incoming = {n: i for i, (n, role) in enumerate(slots) if role == "produced"}
    outgoing = {n: i for i, (n, role) in enumerate(slots) if role == "consumed"}
    graph = replace(graph, steps=folded(graph.steps, graph.outputs))
    tails = _tails(graph.steps, incoming, outgoing)
    kernels = {weight.name: weight.variable for weight in graph.weights}

    def linearized(x, inputs, y, sample_weight):
        return _linearize(
            graph, tails, kernels, loss, epsilon, x, inputs, y, sample_weight
        )

    def linearize(x, inputs, y, sample_weight):
        total, point, _ = linearized(x, inputs, y, sample_weight)
        return total, point

    def at(point, tangents, behind=None):
        moves = {}
        for i, x in point.inputs.items():
            # Where products are taken during the backward pass, each tail waits for
            # it: all tails at once would take memory on top of it.
            with tf.control_dependencies([behind[i]] if behind else []):
                tangent = tangents[incoming[graph.steps[i].kernel]]
                moves[i] = graph.steps[i].run(x, tangent)
        ends = {i: tangents[outgoing[graph.steps[i].kernel]] for i in point.deltas}
        adjoints, arriving = _through_tails(
            graph.steps, tails, point, moves, ends, epsilon
        )
        products = [tf.zeros_like(tangent) for tangent in tangents]
        for i, adjoint in adjoints.items():
            slot = incoming[graph.steps[i].kernel]
            products[slot] += _kernel_gradient(
                graph.steps[i], point.inputs[i], tangents[slot], adjoint
            )
        for i, change in arriving.items():
            slot = outgoing[graph.steps[i].kernel]
            products[slot] += _kernel_gradient(
                graph.steps[i], change, tangents[slot], point.deltas[i]
            )
        return products

    def whole(x, inputs, y, sample_weight, tangents):
        total, point, behind = linearized(x, inputs, y, sample_weight)
        return total, at(point, tangents, behind)

    def curvatures(x, inputs, y, sample_weight, tangents):
        values, found = _gradients(
            graph, tails, kernels, loss, x, inputs, y, sample_weight, tails.readers
        )[1:]
        moves = {
            i: graph.steps[i].run(
                values[graph.steps[i].inputs[0]],
                tangents[incoming[graph.steps[i].kernel]],
            )
            for i in tails.starts
        }
        pair = [
            _moved(graph.steps, tails, values, moves, size)
            for size in (epsilon, -epsilon)
        ]
        sums: dict[str, Any] = {}
        for i in tails.readers:
            step, (source, *_) = graph.steps[i], graph.steps[i].inputs
            plus, minus = pair[0][source], pair[1][source]
            kernel = tf.convert_to_tensor(kernels[step.kernel])
            bend = (plus + minus - 2 * values[source]) / epsilon**2
            change = kernel * _kernel_gradient(step, bend, kernel, found[i])
            if step.kernel in outgoing:
                tangent = tangents[outgoing[step.kernel]]
                slope = (plus - minus) / epsilon
                change += tangent * _kernel_gradient(step, slope, kernel, found[i])
            axis, _ = graph.weight(step.kernel).layout("consumed")
            others = [k for k in range(len(change.shape)) if k != axis]
            total = tf.reduce_sum(change, others)
            sums[step.kernel] = sums.get(step.kernel, 0) + total
        return sums

    def compiled(function):
        return tf.function(
            function, jit_compile=jit_compile, reduce_retracing=True, autograph=False
        )

    return Product(*map(compiled, (linearize, at, whole, curvatures)))


@dataclass(frozen=True)
class _Tails:
    """What moves when neurons do, up to the next linear steps.

    Numbers of the linear steps that start it, of the channel-wise ones it passes, of
    the linear ones that read it, and of those among them that have outgoing weights to
    move; of the tensors that move; and the activations.
    """

    starts: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    readers: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    moving: set[int] = field(default_factory=set)
    curved: list[int] = field(default_factory=list)


def _tails(
    steps: tuple[Step, ...], incoming: Collection[str], outgoing: Collection[str]
) -> _Tails:
    tails = _Tails()
    for index, step in enumerate(steps):
        reached = any(i in tails.moving for i in step.inputs)
        if step.kind == "linear":
            if reached:
                tails.readers.append(index)
                if step.kernel in outgoing:
                    tails.ends.append(index)
            if step.kernel in incoming:
                tails.starts.append(index)
                tails.moving.update(step.outputs)
        elif step.kind == "channelwise" and reached:
            tails.steps.append(index)
            tails.moving.update(step.outputs)
            if step.activation is not None:
                tails.curved.append(index)
    return tails


def _gradients(
    graph, tails, kernels, loss, x, inputs, y, sample_weight, wanted, curve=None
):
    """Loss, all tensors, and the gradients at the outputs of some steps.

    Args:
        wanted: numbers of the steps.
        curve: `curve(index, step, t)` evaluates an activation of the tails; default:
            as any other step.
    """
    values = dict(zip(graph.inputs, inputs, strict=True))
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for index, step in enumerate(graph.steps):
            arguments = [values[i] for i in step.inputs]
            if curve is not None and index in tails.curved:
                results = [curve(index, step, *arguments)]
            elif step.kind == "linear":
                results = [step.run(arguments[0], kernels[step.kernel])]
            else:
                results = tf.nest.flatten(step.run(*arguments))
            if index in tails.starts:
                tape.watch(results)
            values.update(zip(step.outputs, results, strict=True))
        outputs = [values[i] for i in graph.outputs]
        total = loss(x, y, outputs, sample_weight)
    found = tape.gradient(
        total,
        {i: values[graph.steps[i].outputs[0]] for i in wanted},
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return total, values, found


def _linearize(graph, tails, kernels, loss, epsilon, x, inputs, y, sample_weight):
    """The forward and backward pass: loss, `Point`, gradients where tails start."""
    steps, curves, slopes = graph.steps, {}, {}

    def curve(index, step, t):
        curves[index] = curve_of(
            step.activation,
            tf.stop_gradient(t),
            _pullback,
            epsilon=epsilon,
            axis=step.axis,
        )
        return _attached(t, curves[index], slopes, index)

    bent = [i for i in tails.steps if steps[i].linear_part is None]
    wanted = (*bent, *tails.ends, *tails.starts)
    total, values, found = _gradients(
        graph, tails, kernels, loss, x, inputs, y, sample_weight, wanted, curve
    )
    others = [i for i in bent if i not in curves]
    mixed = [
        i
        for i in tails.steps
        if steps[i].linear_part is not None
        and not tails.moving.issuperset(steps[i].inputs)
    ]
    masks = {i: mask_of(value) for i, value in values.items() if i in tails.moving}
    point = Point(
        inputs={i: values[steps[i].inputs[0]] for i in tails.starts},
        deltas={i: found[i] for i in tails.ends},
        slopes={i: slopes[i] if i in slopes else c.slope() for i, c in curves.items()},
        bends={i: curve.bend(found[i]) for i, curve in curves.items()},
        arguments={i: [values[j] for j in steps[i].inputs] for i in (*others, *mixed)},
        gradients={i: found[i] for i in others},
        masks={i: mask for i, mask in masks.items() if mask is not None},
    )
    return total, point, {i: found[i] for i in tails.starts}


def _attached(t: Any, curve: Curve, slopes: dict[int, Any], index: int) -> Any:
    """The curve's value as a function of t. The backward pass puts down the slope."""

    def backward(upstream):
        # Not before it is needed: it would take memory all through the forward pass.
        with tf.control_dependencies([upstream]):
            slopes[index] = curve.slope()
        return upstream * slopes[index]

    @tf.custom_gradient
    def attached(t):
        return tf.identity(curve.value), backward

    return attached(t)


def _pullback(function: Callable[[Any], Any], t: Any) -> tuple[Any, Any]:
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(t)
        value = function(t)
    return value, lambda g: tape.gradient(value, t, output_gradients=g)


def _through_tails(steps, tails, point, moves, ends, epsilon):
    """Changes that arrive at the ends, and the adjoints of the moves.

    Args:
        moves: change of the linear outputs, by step.
        ends: direction of the consumer's kernel, by step.
    """
    change = {steps[i].outputs[0]: move for i, move in moves.items()}
    targets, upstream = [], []
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(list(moves.values()))
        for index in tails.steps:
            step = steps[index]
            if index in point.slopes:
                t = change[step.inputs[0]]
                targets.append(t)
                upstream.append(point.bends[index] * t)
                result = point.slopes[index] * t
            elif step.linear_part is not None:
                result = step.linear_part(*_changes(step, point, index, change))
            else:
                pair = [
                    step.run(*_shifted(step, point, index, change, size))
                    for size in (epsilon, -epsilon)
                ]
                targets += pair
                upstream += [point.gradients[index] / (2 * epsilon**2)] * 2
                result = (pair[0] - pair[1]) / (2 * epsilon)
            change[step.outputs[0]] = result
    arriving = {i: change[steps[i].inputs[0]] for i in ends}
    for i, kernel in ends.items():
        targets.append(arriving[i])
        upstream.append(_input_gradient(steps[i], arriving[i], kernel, point.deltas[i]))
    adjoints = tape.gradient(
        targets,
        moves,
        output_gradients=upstream,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return adjoints, arriving


def _moved(steps, tails, values, moves, size):
    """Values of the moving tensors when all linear outputs are moved by a step."""
    moved = {
        steps[i].outputs[0]: values[steps[i].outputs[0]] + size * move
        for i, move in moves.items()
    }
    for index in tails.steps:
        step = steps[index]
        arguments = [
            with_mask(moved[i], mask_of(values[i])) if i in moved else values[i]
            for i in step.inputs
        ]
        (moved[step.outputs[0]],) = tf.nest.flatten(step.run(*arguments))
    return moved


def _changes(step, point, index, change):
    """How the inputs of an affine step change: not at all where they do not move."""
    sides = len(step.inputs) - step.sides

    def of(place, i):
        if i in change:
            return with_mask(change[i], point.masks.get(i))
        value = point.arguments[index][place]
        return value if place >= sides else tf.zeros_like(value)

    return [of(place, i) for place, i in enumerate(step.inputs)]


def _shifted(step, point, index, change, size):
    """Inputs of a step, moved."""
    return [
        with_mask(x + size * change[i], point.masks.get(i)) if i in change else x
        for i, x in zip(step.inputs, point.arguments[index], strict=True)
    ]


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
