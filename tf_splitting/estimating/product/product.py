"""The splitting product of a traced model: the mathematics, on any backend.

For all neurons of a model at once (see `docs/decisions.md` for the derivation). Moving
the linear outputs u by ±ε u_v, with u_v = linear(x, v), moves whatever lies between
them and the next linear steps. Steps that are affine carry the change ṫ along; a step
f that is not bends it, and the loss feels the bend by its gradient g there. With δ the
gradient at the output of a consumer and ż the change of its input,

    Q(v, γ) = Σ_f <g, f(t + ε ṫ) + f(t - ε ṫ) - 2 f(t)> / ε² + 2 <δ, linear(ż, γ)>

is the quadratic form of the splitting matrices, and half its gradient the product with
them. Where f'' is known, the first term is <g f''(t), ṫ²>. Everything but ṫ and ż is
the same for every direction: `linearize` computes it once for a batch.

Tails are channel-wise and meet linear steps at both ends, so one evaluation of all
tails together serves every space. How gradients are taken and functions compiled is
the backend's (`gradients`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from tf_splitting.estimating.product import gradients
from tf_splitting.estimating.product.curves import Curve, curve_of
from tf_splitting.estimating.product.folding import folded
from tf_splitting.estimating.product.tails import find_tails
from tf_splitting.tracing import ChannelGraph, Role, Step, mask_of, with_mask

tree = keras.tree

PRODUCED: Role = "produced"
CONSUMED: Role = "consumed"
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


@dataclass(frozen=True)
class Product:
    """Compiled functions of a traced model.

    Attributes:
        linearize: `(batch) -> (loss, point, bytes)`; a batch is `(x, inputs, y,
            sample_weight)`, where `inputs` are the model's input tensors, flat.
        at: `(point, tangents) -> products`; `tangents` are one array of the kernel's
            shape per slot, in the weights' own units; `products` alike.
        whole: `(batch, tangents) -> (loss, products)`, without keeping the point.
        curvatures: `(batch, tangents) -> curvatures`: by what 2 / ε² times the change
            of the loss comes to when each neuron is split by ε along its tangent,
            linear in the outputs of its consumers only. One number for every position
            of a kernel's consumed axis, `[length]`, by kernel; their sums over a
            neuron's positions in all kernels count.
    """

    linearize: Callable[[Any], tuple[float, Point, int]]
    at: Callable[[Point, Any], list[np.ndarray]]
    whole: Callable[[Any, Any], tuple[float, list[np.ndarray]]]
    curvatures: Callable[[Any, Any], dict[str, np.ndarray]]


def make_product(
    graph: ChannelGraph,
    loss: LossFunction,
    slots: list[tuple[str, str]],
    epsilon: float,
    owner: keras.Model,
    jit_compile: bool,
) -> Product:
    """Compiles the splitting product of a traced model.

    Args:
        graph: the model.
        loss: `loss(x, y, outputs, sample_weight)`, a scalar.
        slots: (kernel name, role) of each part of a direction.
        epsilon: step of the finite differences, relative.
        owner: the model that was traced.
        jit_compile: compile with XLA, where there is a choice.

    Raises:
        BackendError: Keras runs on a backend that products are not known for.
    """
    calculus = gradients.calculus(owner, jit_compile)
    model = _Model(graph, loss, slots, epsilon, calculus)
    linearize = calculus.compiled(lambda *batch: model.linearize(*batch)[:2])
    at = calculus.compiled(model.at)
    whole = calculus.compiled(model.whole)
    curvatures = calculus.compiled(model.curvatures)

    def linearized(batch: Any) -> tuple[float, Point, int]:
        loss, point = linearize(*calculus.placed(batch))
        return float(calculus.read(loss)), point, calculus.nbytes(point)

    def of_batch(batch: Any, tangents: Any) -> tuple[float, list[np.ndarray]]:
        loss, products = calculus.read(whole(*calculus.placed(batch), tangents))
        return float(loss), products

    return Product(
        linearized,
        lambda point, tangents: calculus.read(at(point, tangents)),
        of_batch,
        lambda batch, tangents: calculus.read(
            curvatures(*calculus.placed(batch), tangents)
        ),
    )


class _Model:
    """A traced model ready for products; methods run inside compiled functions."""

    def __init__(
        self,
        graph: ChannelGraph,
        loss: LossFunction,
        slots: list[tuple[str, str]],
        epsilon: float,
        calculus: gradients.Calculus,
    ) -> None:
        self._incoming = {n: i for i, (n, role) in enumerate(slots) if role == PRODUCED}
        self._outgoing = {n: i for i, (n, role) in enumerate(slots) if role == CONSUMED}
        self._graph = graph
        self._steps = folded(graph.steps, graph.outputs)
        self._tails = find_tails(self._steps, self._incoming, self._outgoing)
        self._kernels = {weight.name: weight.variable for weight in graph.weights}
        self._loss = loss
        self._epsilon = epsilon
        self._calculus = calculus

    def whole(self, x: Any, inputs: Any, y: Any, weight: Any, tangents: Any) -> Any:
        """Loss and products of a batch."""
        total, point, behind = self.linearize(x, inputs, y, weight)
        return total, self.at(point, tangents, behind)

    def linearize(self, x: Any, inputs: Any, y: Any, weight: Any) -> Any:
        """Loss, `Point`, and the gradients at the outputs of the tails' first steps."""
        steps, tails = self._steps, self._tails
        wanted = (*tails.bent, *tails.ends, *tails.starts)
        edges = self._edges(x, inputs, y, weight, wanted, tails.curved)
        values, found, curves = edges.values, edges.gradients, edges.curves
        others = [i for i in tails.bent if i not in curves]
        point = Point(
            inputs={i: values[steps[i].inputs[0]] for i in tails.starts},
            deltas={i: found[i] for i in tails.ends},
            slopes={i: curve.slope() for i, curve in curves.items()},
            bends={i: curve.bend(found[i]) for i, curve in curves.items()},
            arguments={
                i: [values[j] for j in steps[i].inputs] for i in (*others, *tails.mixed)
            },
            gradients={i: found[i] for i in others},
            masks=edges.masks,
        )
        loss = self._calculus.combined(edges.loss)
        return loss, point, {i: found[i] for i in tails.starts}

    def at(self, point: Point, tangents: Any, behind: Any = None) -> list[Any]:
        """Products at a point; `behind`: see `_moves`."""
        steps = self._steps
        moves = self._moves(point.inputs, tangents, behind)
        adjoints, arriving = self._through_tails(point, moves, tangents)
        products = [ops.zeros_like(tangent) for tangent in tangents]
        for i, adjoint in adjoints.items():
            slot = self._incoming[steps[i].kernel_name]
            products[slot] += self._kernel_gradient(
                steps[i], point.inputs[i], tangents[slot], adjoint
            )
        for i, change in arriving.items():
            slot = self._outgoing[steps[i].kernel_name]
            products[slot] += self._kernel_gradient(
                steps[i], change, tangents[slot], point.deltas[i]
            )
        return self._calculus.combined(products)

    def curvatures(
        self, x: Any, inputs: Any, y: Any, weight: Any, tangents: Any
    ) -> dict[str, Any]:
        """What real splits come to, by kernel; see `Product`."""
        steps, tails, epsilon = self._steps, self._tails, self._epsilon
        wanted = (*tails.readers, *tails.starts)
        edges = self._edges(x, inputs, y, weight, wanted)
        values, found = edges.values, edges.gradients
        at_starts = {i: values[steps[i].inputs[0]] for i in tails.starts}
        moves = self._moves(at_starts, tangents, found)
        above, below = (self._moved(edges, moves, e) for e in (epsilon, -epsilon))
        sums: dict[str, Any] = {}
        for i in tails.readers:
            step, source = steps[i], steps[i].inputs[0]
            name = step.kernel_name
            kernel = ops.convert_to_tensor(self._kernels[name].value)
            bend = (above[source] + below[source] - 2 * values[source]) / epsilon**2
            change = kernel * self._kernel_gradient(step, bend, kernel, found[i])
            if name in self._outgoing:
                tangent = tangents[self._outgoing[name]]
                slope = (above[source] - below[source]) / epsilon
                moved = self._kernel_gradient(step, slope, kernel, found[i])
                change += tangent * moved
            axis, _ = self._graph.weight(name).layout(CONSUMED)
            others = [k for k in range(len(change.shape)) if k != axis]
            sums[name] = sums.get(name, 0) + ops.sum(change, others)
        return self._calculus.combined(sums)

    def _edges(
        self,
        x: Any,
        inputs: Any,
        y: Any,
        weight: Any,
        wanted: Iterable[int],
        curved: Iterable[int] = (),
    ) -> gradients.Edges:
        """Loss, all tensors, and the gradients at the outputs of some steps.

        Args:
            x, inputs, y, weight: a batch.
            wanted: numbers of the steps.
            curved: activations whose derivatives are wanted too.
        """
        steps, tails = self._steps, self._tails
        curved = frozenset(curved)

        def compute(at_edge: Any, activate: Any) -> Any:
            values = dict(zip(self._graph.inputs, inputs, strict=True))
            for index, step in enumerate(steps):
                arguments = [values[i] for i in step.inputs]
                if activate is not None and index in curved:
                    results = [activate(index, *arguments)]
                elif step.kind == "linear":
                    results = [step.run(arguments[0], self._kernels[step.kernel_name])]
                else:
                    results = tree.flatten(step.run(*arguments))
                values.update(zip(step.outputs, at_edge(index, results), strict=True))
            outputs = [values[i] for i in self._graph.outputs]
            masks = {i: mask_of(values[i]) for i in tails.moving}
            masks = {i: mask for i, mask in masks.items() if mask is not None}
            return self._loss(x, y, outputs, weight), values, masks

        return self._calculus.edges(
            compute,
            {i: steps[i].outputs[0] for i in wanted},
            tails.starts,
            {i: (steps[i].inputs[0], partial(self._curve, steps[i])) for i in curved},
        )

    def _curve(self, step: Step, t: Any) -> Curve:
        assert step.activation is not None
        return curve_of(
            step.activation,
            t,
            self._calculus.pullback,
            epsilon=self._epsilon,
            axis=step.axis,
        )

    def _moves(self, inputs: dict[int, Any], tangents: Any, behind: Any) -> Any:
        """Change of the linear outputs, by step.

        Each waits for the gradient `behind` it: during the backward pass all tails at
        once would take memory on top of it.
        """
        moves = {}
        for i, x in inputs.items():
            tangent = tangents[self._incoming[self._steps[i].kernel_name]]
            if behind:
                x = self._calculus.after(x, behind[i])
            moves[i] = self._steps[i].run(x, tangent)
        return moves

    def _moved(self, edges: gradients.Edges, moves: Any, size: float) -> dict[int, Any]:
        """Values of the moving tensors when all linear outputs are moved by a step."""
        values, moved = edges.values, {}
        for i, move in moves.items():
            (output,) = self._steps[i].outputs
            moved[output] = values[output] + size * move
        for index in self._tails.steps:
            step = self._steps[index]
            arguments = [
                with_mask(moved[i], edges.masks.get(i)) if i in moved else values[i]
                for i in step.inputs
            ]
            (moved[step.outputs[0]],) = tree.flatten(step.run(*arguments))
        return moved

    def _through_tails(
        self, point: Point, moves: dict[int, Any], tangents: Any
    ) -> tuple[dict[int, Any], dict[int, Any]]:
        """The adjoints of the moves, and the changes that arrive at the ends."""
        steps, epsilon = self._steps, self._epsilon

        def follow(moves: dict[int, Any]) -> tuple[list[Any], Any]:
            change = {steps[i].outputs[0]: move for i, move in moves.items()}
            targets, upstream = [], []
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
                tangent = tangents[self._outgoing[steps[i].kernel_name]]
                targets.append(arriving[i])
                upstream.append(
                    self._input_gradient(steps[i], arriving[i], tangent, delta)
                )
            return targets, (upstream, arriving)

        _, aux, pull = self._calculus.pullback(follow, moves, has_aux=True)
        upstream, arriving = aux
        return pull(upstream), arriving

    def _input_gradient(self, step: Step, x: Any, kernel: Any, upstream: Any) -> Any:
        _, pull = self._calculus.pullback(lambda x: step.run(x, kernel), x)
        return pull(upstream)

    def _kernel_gradient(self, step: Step, x: Any, kernel: Any, upstream: Any) -> Any:
        _, pull = self._calculus.pullback(lambda kernel: step.run(x, kernel), kernel)
        return pull(upstream)


def _changes(step: Step, point: Point, index: int, change: dict[int, Any]) -> list[Any]:
    """How the inputs of an affine step change: not at all where they do not move."""
    sides = len(step.inputs) - step.sides

    def of(place: int, i: int) -> Any:
        if i in change:
            return with_mask(change[i], point.masks.get(i))
        value = point.arguments[index][place]
        return value if place >= sides else ops.zeros_like(value)

    return [of(place, i) for place, i in enumerate(step.inputs)]


def _shifted(
    step: Step, point: Point, index: int, change: dict[int, Any], size: float
) -> list[Any]:
    """Inputs of a step, moved."""
    return [
        with_mask(x + size * change[i], point.masks.get(i)) if i in change else x
        for i, x in zip(step.inputs, point.arguments[index], strict=True)
    ]
