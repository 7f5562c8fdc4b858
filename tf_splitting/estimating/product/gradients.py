"""How gradients are taken and functions compiled: one file per Keras backend.

The mathematics of the splitting product (`product`) is written once in `keras.ops`; a
`Calculus` is all that it needs of a backend besides. Adding a backend is one file with
a class of this shape, `REFUSALS`, and one entry in `_CALCULI`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import keras

from tf_splitting.errors import BackendError
from tf_splitting.estimating.product.curves import Curve

# compute(at_edge, activate) -> (loss, tensors by number, masks by number of tensor).
# It passes the results of every step through `at_edge(index, results)`, and evaluates
# an activation by `activate(index, t)` unless that is None.
Compute = Callable[..., tuple[Any, dict[int, Any], dict[int, Any]]]


class Edges(NamedTuple):
    """A forward and backward pass.

    Attributes:
        loss: a scalar.
        values: all tensors, by number.
        masks: Keras masks, by number of the tensor.
        gradients: of the loss by the outputs of some steps, by number of the step.
        curves: of the activations, by number of the step.
    """

    loss: Any
    values: dict[int, Any]
    masks: dict[int, Any]
    gradients: dict[int, Any]
    curves: dict[int, Curve]


class Calculus(Protocol):
    """Gradients and compiled functions on one backend.

    Where batches are divided over devices, so is what is computed of them, until it is
    told to be the same everywhere.

    Args:
        model: compiled functions read its variables, and run where it is.
        jit_compile: compile with XLA, where there is a choice.
    """

    def __init__(self, model: keras.Model, jit_compile: bool) -> None: ...

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, compiled; its arguments and results are nests of tensors."""
        ...

    def placed(self, batch: Any) -> Any:
        """A batch on the devices, its examples divided among them."""
        ...

    def combined(self, tensors: Any) -> Any:
        """What is linear in a batch's loss, from the devices' shares of the batch.

        Called within compiled functions.
        """
        ...

    def read(self, tensors: Any) -> Any:
        """As NumPy arrays, what a compiled function returned of `combined`."""
        ...

    def nbytes(self, tensors: Any) -> int:
        """Memory that results of compiled functions take on a device."""
        ...

    def edges(
        self,
        compute: Compute,
        wanted: Mapping[int, int],
        starts: Sequence[int],
        curves: Mapping[int, tuple[int, Callable[[Any], Curve]]],
    ) -> Edges:
        """Loss, tensors, and the gradients at the outputs of some steps.

        Args:
            compute: the forward pass.
            wanted: by number of the step, the number of the tensor that comes out.
            starts: steps before which no gradient is wanted.
            curves: by number of the step, the number of the tensor that goes in and
                the activation as a `Curve` there.
        """
        ...

    def pullback(
        self, function: Callable[[Any], Any], x: Any, *, has_aux: bool = False
    ) -> tuple[Any, ...]:
        """`(value, pull)`, or `(value, aux, pull)` of a function that returns a pair.

        `pull(g)` is the gradient of <g, value> by x, in the structure of x.
        """
        ...

    def after(self, x: Any, other: Any) -> Any:
        """x, for which whoever reads it has to wait until the other tensor is there."""
        ...


_CALCULI = {"tensorflow": "TensorFlowCalculus", "jax": "JaxCalculus"}


def calculus(model: keras.Model, jit_compile: bool) -> Calculus:
    """The calculus of the Keras backend in use.

    Args:
        model: compiled functions read its variables, and run where it is.
        jit_compile: compile with XLA; the JAX backend always does.

    Raises:
        BackendError: nobody has written one for this backend.
    """
    module = _module()
    kind = getattr(module, _CALCULI[keras.backend.backend()])
    return kind(model, jit_compile)


def refusals() -> tuple[type[Exception], ...]:
    """What the backend raises for values that an operation does not take.

    Raises:
        BackendError: nobody knows this backend.
    """
    return _module().REFUSALS


def _module() -> ModuleType:
    backend = keras.backend.backend()
    if backend not in _CALCULI:
        raise BackendError(
            f"Keras runs on the backend {backend!r}; expected one of "
            f"{', '.join(map(repr, _CALCULI))}. Set KERAS_BACKEND before Keras is "
            "imported."
        )
    return importlib.import_module(
        f"tf_splitting.estimating.product.gradients_{backend}"
    )
