"""Gradients on the JAX backend: `jax.vjp` within `jax.jit`.

JAX differentiates functions of what they are given. A gradient at a tensor in the
middle of a network is that by a zero added to it, which XLA takes out again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from tf_splitting.estimating.product.curves import Curve
from tf_splitting.estimating.product.gradients import Compute, Edges
from tf_splitting.tracing import mask_of, with_mask

# What JAX raises for values that an operation does not take.
REFUSALS = (ValueError, TypeError)


class JaxCalculus:
    """See `Calculus`. There is no JAX without XLA: `jit_compile` changes nothing."""

    def __init__(self, model: keras.Model, jit_compile: bool) -> None:
        self._variables = list(model.variables)

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function as one XLA program, of the variables' current values."""

        def pure(values: list[Any], *arguments: Any) -> Any:
            mapping = list(zip(self._variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return function(*arguments)

        program = jax.jit(pure)

        def call(*arguments: Any) -> Any:
            return program([v.value for v in self._variables], *arguments)

        return call

    def placed(self, batch: Any) -> Any:
        """A batch on the devices, its examples divided among them.

        Every process has the whole batch, and places what its own devices hold.
        """
        distribution = keras.distribution.distribution()
        if distribution is None:
            return batch

        def place(array: Any) -> jax.Array:
            array = np.asarray(array)
            layout = distribution.get_data_layout(array.shape).backend_layout
            return jax.make_array_from_callback(
                array.shape, layout, lambda index: array[index]
            )

        return jax.tree.map(place, batch)

    def combined(self, tensors: Any) -> Any:
        """The tensors, on every device: XLA computes with whole batches."""
        distribution = keras.distribution.distribution()
        if distribution is None:
            return tensors
        mesh = distribution.get_data_layout((None,)).backend_layout.mesh
        whole = NamedSharding(mesh, PartitionSpec())
        return jax.lax.with_sharding_constraint(tensors, whole)

    def read(self, tensors: Any) -> Any:
        """As NumPy arrays."""
        return jax.tree.map(np.asarray, tensors)

    def nbytes(self, tensors: Any) -> int:
        """Memory that they take on a device."""
        return sum(
            part.data.nbytes
            for tensor in jax.tree.leaves(tensors)
            for part in tensor.addressable_shards[:1]
        )

    def edges(
        self,
        compute: Compute,
        wanted: Mapping[int, int],
        starts: Sequence[int],
        curves: Mapping[int, tuple[int, Callable[[Any], Curve]]],
    ) -> Edges:
        """Loss, tensors, and the gradients at the outputs of some steps."""

        def moved(zeros: dict[int, Any]) -> Any:
            def at_edge(index: int, results: list[Any]) -> list[Any]:
                if index not in zeros:
                    return results
                first, *rest = results
                return [with_mask(first + zeros[index], mask_of(first)), *rest]

            # Losses may assign to variables of their own; a scope for every trace, or
            # the next one would read what this one left.
            mapping = [(v, v.value) for v in self._variables]
            with keras.StatelessScope(state_mapping=mapping):
                loss, *rest = compute(at_edge, None)
            return loss, tuple(rest)

        _, (shapes, _) = jax.eval_shape(lambda: moved({}))
        zeros = {
            index: jnp.zeros(shapes[tensor].shape, shapes[tensor].dtype)
            for index, tensor in wanted.items()
        }
        graded = jax.value_and_grad(moved, has_aux=True)
        (loss, (values, masks)), gradients = graded(zeros)
        # XLA sees that the pass before has computed most of these already.
        found = {i: curve(values[tensor]) for i, (tensor, curve) in curves.items()}
        return Edges(loss, values, masks, gradients, found)

    def pullback(
        self, function: Callable[[Any], Any], x: Any, *, has_aux: bool = False
    ) -> tuple[Any, ...]:
        """`(value, pull)`; of a function that returns a pair, with its second part."""
        # Its types know `has_aux` as a literal only.
        vjp: Any = jax.vjp
        value, pull, *aux = vjp(function, x, has_aux=has_aux)
        return value, *aux, lambda upstream: pull(upstream)[0]

    def after(self, x: Any, other: Any) -> Any:
        """x, for which whoever reads it has to wait until the other tensor is there."""
        x, _ = jax.lax.optimization_barrier((x, other))
        return x
