"""Gradients on the TensorFlow backend: `tf.GradientTape` within `tf.function`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_splitting.estimating.product.curves import Curve
from tf_splitting.estimating.product.gradients import Compute, Edges

# What TensorFlow raises for values that an operation does not take.
REFUSALS = (
    ValueError,
    TypeError,
    tf.errors.InvalidArgumentError,
    tf.errors.UnimplementedError,
)
_ZERO = tf.UnconnectedGradients.ZERO


class TensorFlowCalculus:
    """See `Calculus`."""

    def __init__(self, model: keras.Model, jit_compile: bool) -> None:
        self._jit_compile = jit_compile
        strategy = model.distribute_strategy
        self._strategy = strategy if strategy.num_replicas_in_sync > 1 else None

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function as a graph; variables are captured."""
        strategy = self._strategy
        return tf.function(
            function
            if strategy is None
            else lambda *arguments: strategy.run(function, arguments),
            jit_compile=self._jit_compile,
            reduce_retracing=True,
            autograph=False,
        )

    def placed(self, batch: Any) -> Any:
        """A batch on the replicas, its examples divided among them."""
        if self._strategy is None:
            return batch
        replicas = self._strategy.num_replicas_in_sync

        def share(context: Any) -> Any:
            number = context.replica_id_in_sync_group

            def part(array: Any) -> Any:
                if array is None:
                    return None
                size = len(array) // replicas
                return tf.constant(array[number * size : (number + 1) * size])

            return tf.nest.map_structure(part, batch)

        return self._strategy.experimental_distribute_values_from_function(share)

    def combined(self, tensors: Any) -> Any:
        """Their sums over the replicas, by whose number Keras has divided losses."""
        if self._strategy is None:
            return tensors
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)

    def read(self, tensors: Any) -> Any:
        """As NumPy arrays."""
        return tf.nest.map_structure(np.asarray, self._local(tensors))

    def nbytes(self, tensors: Any) -> int:
        """Memory that they take on a replica."""
        flat = tf.nest.flatten(self._local(tensors))
        return sum(t.shape.num_elements() * t.dtype.size for t in flat)

    def _local(self, tensors: Any) -> Any:
        """Those of the first replica."""
        if self._strategy is None:
            return tensors
        return tf.nest.map_structure(
            lambda each: self._strategy.experimental_local_results(each)[0], tensors
        )

    def edges(
        self,
        compute: Compute,
        wanted: Mapping[int, int],
        starts: Sequence[int],
        curves: Mapping[int, tuple[int, Callable[[Any], Curve]]],
    ) -> Edges:
        """Loss, tensors, and the gradients at the outputs of some steps."""
        found: dict[int, Curve] = {}
        slopes: dict[int, Any] = {}

        def activate(index: int, t: Any) -> Any:
            _, curve = curves[index]
            found[index] = curve(tf.stop_gradient(t))
            return _attached(t, found[index], slopes, index)

        with tf.GradientTape(watch_accessed_variables=False) as tape:

            def at_edge(index: int, results: list[Any]) -> list[Any]:
                if index in starts:
                    tape.watch(results)
                return results

            loss, values, masks = compute(at_edge, activate if curves else None)
        gradients = tape.gradient(
            loss,
            {index: values[tensor] for index, tensor in wanted.items()},
            unconnected_gradients=_ZERO,
        )
        for index, slope in slopes.items():
            # The backward pass does not come by where the loss does not depend.
            found[index] = found[index]._replace(slope=_constant(slope))
        return Edges(loss, values, masks, gradients, found)

    def pullback(
        self, function: Callable[[Any], Any], x: Any, *, has_aux: bool = False
    ) -> tuple[Any, ...]:
        """`(value, pull)`, or `(value, aux, pull)` of a function that returns a pair.

        What the value itself takes and nobody uses, the graph optimizer prunes.
        """
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(tf.nest.flatten(x))
            result = function(x)
        value, *aux = result if has_aux else (result,)

        def pull(upstream: Any) -> Any:
            gradients = tape.gradient(
                value, x, output_gradients=upstream, unconnected_gradients=_ZERO
            )
            # The gradient of an embedding is a list of rows.
            return keras.tree.map_structure(tf.convert_to_tensor, gradients)

        return value, *aux, pull

    def after(self, x: Any, other: Any) -> Any:
        """x, for which whoever reads it has to wait until the other tensor is there."""
        with tf.control_dependencies([other]):
            return tf.identity(x)


def _attached(t: Any, curve: Curve, slopes: dict[int, Any], index: int) -> Any:
    """The curve's value as a function of t. The backward pass puts down the slope."""

    def backward(upstream: Any) -> Any:
        # Not before it is needed: it would take memory all through the forward pass.
        with tf.control_dependencies([upstream]):
            slopes[index] = curve.slope()
        return upstream * slopes[index]

    def attached(t: Any) -> Any:
        return tf.identity(curve.value), backward

    return tf.custom_gradient(attached)(t)


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value
