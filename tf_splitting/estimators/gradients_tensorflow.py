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

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

from tf_splitting.estimators.curves import Curve, curve_of
from tf_splitting.estimators.folding import folded
from tf_splitting.estimators.tails import find_tails
from tf_splitting.graph import ChannelGraph, Step
from tf_splitting.keras_graph import mask_of, with_mask

PRODUCED, CONSUMED = "produced", "consumed"
LossFunction = Callable[[Any, Any, Any, Any], Any]
# What TensorFlow raises for values that an operation does not take.
REFUSALS = (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError)


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
    model = _Model(graph, loss, slots, epsilon)

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        return tf.function(
            function, jit_compile=jit_compile, reduce_retracing=True, autograph=False
        )

    return Product(
        compiled(lambda *batch: model.linearize(*batch)[:2]),
        compiled(model.at),
        compiled(model.whole),
        compiled(model.curvatures),
    )


class _Model:
    """A traced model ready for products; methods run inside compiled functions."""

    def __init__(
        self,
        graph: ChannelGraph,
        loss: LossFunction,
        slots: list[tuple[str, str]],
        epsilon: float,
    ) -> None:
        self._incoming = {n: i for i, (n, role) in enumerate(slots) if role == PRODUCED}
        self._outgoing = {n: i for i, (n, role) in enumerate(slots) if role == CONSUMED}
        self._graph = graph
        self._steps = folded(graph.steps, graph.outputs)
        self._tails = find_tails(self._steps, self._incoming, self._outgoing)
        self._kernels = {weight.name: weight.variable for weight in graph.weights}
        self._loss = loss
        self._epsilon = epsilon

    def whole(self, x: Any, inputs: Any, y: Any, weight: Any, tangents: Any) -> Any:
        """Loss and products of a batch."""
        total, point, behind = self.linearize(x, inputs, y, weight)
        return total, self.at(point, tangents, behind)

    def linearize(self, x: Any, inputs: Any, y: Any, weight: Any) -> Any:
        """Loss, `Point`, and the gradients at the outputs of the tails' first steps."""
        steps, tails = self._steps, self._tails
        curves: dict[int, Curve] = {}
        slopes: dict[int, Any] = {}

        def curve(index: int, t: Any) -> Any:
            curves[index] = curve_of(
                steps[index].activation,
                tf.stop_gradient(t),
                _pullback,
                epsilon=self._epsilon,
                axis=steps[index].axis,
            )
            return _attached(t, curves[index], slopes, index)

        wanted = (*tails.bent, *tails.ends, *tails.starts)
        total, values, found = self._gradients(x, inputs, y, weight, wanted, curve)
        others = [i for i in tails.bent if i not in curves]
        masks = {i: mask_of(values[i]) for i in tails.moving}
        point = Point(
            inputs={i: values[steps[i].inputs[0]] for i in tails.starts},
            deltas={i: found[i] for i in tails.ends},
            slopes={
                # The backward pass does not come by where the loss does not depend.
                i: slopes[i] if i in slopes else curve.slope()
                for i, curve in curves.items()
            },
            bends={i: curve.bend(found[i]) for i, curve in curves.items()},
            arguments={
                i: [values[j] for j in steps[i].inputs] for i in (*others, *tails.mixed)
            },
            gradients={i: found[i] for i in others},
            masks={i: mask for i, mask in masks.items() if mask is not None},
        )
        return total, point, {i: found[i] for i in tails.starts}

    def at(self, point: Point, tangents: Any, behind: Any = None) -> list[Any]:
        """Products at a point; `behind`: see `_moves`."""
        steps = self._steps
        moves = self._moves(point.inputs, tangents, behind)
        adjoints, arriving = self._through_tails(point, moves, tangents)
        products = [tf.zeros_like(tangent) for tangent in tangents]
        for i, adjoint in adjoints.items():
            slot = self._incoming[steps[i].kernel]
            products[slot] += _kernel_gradient(
                steps[i], point.inputs[i], tangents[slot], adjoint
            )
        for i, change in arriving.items():
            slot = self._outgoing[steps[i].kernel]
            products[slot] += _kernel_gradient(
                steps[i], change, tangents[slot], point.deltas[i]
            )
        return products

    def curvatures(
        self, x: Any, inputs: Any, y: Any, weight: Any, tangents: Any
    ) -> dict[str, Any]:
        """What real splits come to, by kernel; see `Product`."""
        steps, tails, epsilon = self._steps, self._tails, self._epsilon
        wanted = (*tails.readers, *tails.starts)
        _, values, found = self._gradients(x, inputs, y, weight, wanted)
        at_starts = {i: values[steps[i].inputs[0]] for i in tails.starts}
        moves = self._moves(at_starts, tangents, found)
        above, below = (self._moved(values, moves, e) for e in (epsilon, -epsilon))
        sums: dict[str, Any] = {}
        for i in tails.readers:
            step, source = steps[i], steps[i].inputs[0]
            kernel = tf.convert_to_tensor(self._kernels[step.kernel])
            bend = (above[source] + below[source] - 2 * values[source]) / epsilon**2
            change = kernel * _kernel_gradient(step, bend, kernel, found[i])
            if step.kernel in self._outgoing:
                tangent = tangents[self._outgoing[step.kernel]]
                slope = (above[source] - below[source]) / epsilon
                change += tangent * _kernel_gradient(step, slope, kernel, found[i])
            axis, _ = self._graph.weight(step.kernel).layout(CONSUMED)
            others = [k for k in range(len(change.shape)) if k != axis]
            sums[step.kernel] = sums.get(step.kernel, 0) + tf.reduce_sum(change, others)
        return sums

    def _gradients(
        self,
        x: Any,
        inputs: Any,
        y: Any,
        weight: Any,
        wanted: Iterable[int],
        curve: Callable[[int, Any], Any] | None = None,
    ) -> tuple[Any, dict[int, Any], dict[int, Any]]:
        """Loss, all tensors, and the gradients at the outputs of some steps.

        Args:
            x, inputs, y, weight: a batch.
            wanted: numbers of the steps.
            curve: `curve(index, t)` evaluates the tails' activations; default: as any
                other step.
        """
        values = dict(zip(self._graph.inputs, inputs, strict=True))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for index, step in enumerate(self._steps):
                arguments = [values[i] for i in step.inputs]
                if curve is not None and index in self._tails.curved:
                    results = [curve(index, *arguments)]
                elif step.kind == "linear":
                    results = [step.run(arguments[0], self._kernels[step.kernel])]
                else:
                    results = tf.nest.flatten(step.run(*arguments))
                if index in self._tails.starts:
                    tape.watch(results)
                values.update(zip(step.outputs, results, strict=True))
            outputs = [values[i] for i in self._graph.outputs]
            total = self._loss(x, y, outputs, weight)
        found = tape.gradient(
            total,
            {i: values[self._steps[i].outputs[0]] for i in wanted},
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return total, values, found

    def _moves(self, inputs: dict[int, Any], tangents: Any, behind: Any) -> Any:
        """Change of the linear outputs, by step.

        Each waits for the gradient `behind` it: during the backward pass all tails at
        once would take memory on top of it.
        """
        moves = {}
        for i, x in inputs.items():
            with tf.control_dependencies([behind[i]] if behind else []):
                tangent = tangents[self._incoming[self._steps[i].kernel]]
                moves[i] = self._steps[i].run(x, tangent)
        return moves

    def _moved(self, values: dict[int, Any], moves: Any, size: float) -> dict[int, Any]:
        """Values of the moving tensors when all linear outputs are moved by a step."""
        moved = {}
        for i, move in moves.items():
            (output,) = self._steps[i].outputs
            moved[output] = values[output] + size * move
        for index in self._tails.steps:
            step = self._steps[index]
            arguments = [
                with_mask(moved[i], mask_of(values[i])) if i in moved else values[i]
                for i in step.inputs
            ]
            (moved[step.outputs[0]],) = tf.nest.flatten(step.run(*arguments))
        return moved

    def _through_tails(
        self, point: Point, moves: dict[int, Any], tangents: Any
    ) -> tuple[dict[int, Any], dict[int, Any]]:
        """The adjoints of the moves, and the changes that arrive at the ends."""
        steps, epsilon = self._steps, self._epsilon
        change = {steps[i].outputs[0]: move for i, move in moves.items()}
        targets, upstream = [], []
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(moves.values()))
            for index in self._tails.steps:
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
        arriving = {i: change[steps[i].inputs[0]] for i in point.deltas}
        for i, delta in point.deltas.items():
            tangent = tangents[self._outgoing[steps[i].kernel]]
            targets.append(arriving[i])
            upstream.append(_input_gradient(steps[i], arriving[i], tangent, delta))
        adjoints = tape.gradient(
            targets,
            moves,
            output_gradients=upstream,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return adjoints, arriving


def _attached(t: Any, curve: Curve, slopes: dict[int, Any], index: int) -> Any:
    """The curve's value as a function of t. The backward pass puts down the slope."""

    def backward(upstream: Any) -> Any:
        # Not before it is needed: it would take memory all through the forward pass.
        with tf.control_dependencies([upstream]):
            slopes[index] = curve.slope()
        return upstream * slopes[index]

    @tf.custom_gradient
    def attached(t: Any) -> Any:
        return tf.identity(curve.value), backward

    return attached(t)


def _pullback(function: Callable[[Any], Any], t: Any) -> tuple[Any, Any]:
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(t)
        value = function(t)
    return value, lambda g: tape.gradient(value, t, output_gradients=g)


def _changes(step: Step, point: Point, index: int, change: dict[int, Any]) -> list[Any]:
    """How the inputs of an affine step change: not at all where they do not move."""
    sides = len(step.inputs) - step.sides

    def of(place: int, i: int) -> Any:
        if i in change:
            return with_mask(change[i], point.masks.get(i))
        value = point.arguments[index][place]
        return value if place >= sides else tf.zeros_like(value)

    return [of(place, i) for place, i in enumerate(step.inputs)]


def _shifted(
    step: Step, point: Point, index: int, change: dict[int, Any], size: float
) -> list[Any]:
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
