"""Activations: layers, and the functions fused into dense and convolution layers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tf_splitting.tracing.inside import operations_of
from tf_splitting.tracing.rules.registry import is_pointwise, register
from tf_splitting.tracing.symbolic_call import ClosedError
from tf_splitting.tracing.tracer import Signal, Tracer

# Functions of one tensor that act on every element alone, operations too.
ELEMENTWISE = (
    "celu elu gelu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu log_sigmoid "
    "relu relu6 selu sigmoid silu soft_shrink softplus softsign sparse_plus "
    "sparse_sigmoid squareplus tanh tanh_shrink"
)
# Those that are no operation, other names of operations, and one with arguments.
_MORE = "exponential linear mish hard_swish swish threshold"
_NAMES = f"{ELEMENTWISE} {_MORE}".split()
_elementwise: list[Callable[..., Any]] = [
    getattr(module, name)
    for module in (keras.activations, keras.ops)
    for name in _NAMES
    if hasattr(module, name)
]
# Of these a layer's activation may be one too, whoever has imported them.
_LIBRARIES = ("tensorflow.nn", "tensorflow.math", "jax.nn", "jax.numpy")
_along_the_last_axis: list[Callable[..., Any]] = [
    getattr(module, name)
    for module in (keras.activations, keras.ops)
    for name in ("log_softmax", "softmax", "sparsemax")
    if hasattr(module, name)
]


def register_activation(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declares that a function acts on every element alone. Usable as a decorator.

    Example:
        >>> @tf_splitting.layers.register_activation
        ... def squared_relu(x):
        ...     return keras.ops.square(keras.ops.relu(x))
    """
    _elementwise.append(function)
    return function


def is_elementwise(activation: Any) -> bool:
    """Whether an activation is known to act on every element alone."""
    if activation is None:
        return True
    if isinstance(activation, keras.layers.Layer):
        return type(activation) in _LAYERS
    return (
        any(activation is known for known in _elementwise)
        or _is_of_a_backend(activation)
        or is_made_of_such(activation)
    )


def _is_of_a_backend(function: Any) -> bool:
    """Whether it is what a backend calls by the name of such a function."""
    for path in _LIBRARIES:
        library, name = path.split(".")
        module = getattr(sys.modules.get(library), name, None)
        if any(getattr(module, each, None) is function for each in _NAMES):
            return True
    return False


def is_made_of_such(function: Any) -> bool:
    """Whether a function is made of operations on every element alone, with numbers.

    It may not depend on how many channels there are.
    """
    try:
        made = [operations_of(function, width) for width in (3, 4)]
    except ClosedError:
        return False
    told = []
    for operations in made:
        numbers = []
        for operation, given in operations:
            if not is_pointwise(type(operation)):
                return False
            settings = (*vars(operation).values(), *given)
            arrays = [v for v in settings if hasattr(v, "shape")]
            full = [v for v in arrays if isinstance(v, keras.KerasTensor)]
            if len({tuple(v.shape) for v in full}) > 1:
                return False
            if any(
                len(v.shape) for v in arrays if not isinstance(v, keras.KerasTensor)
            ):
                return False
            rest = (v for v in given if not isinstance(v, keras.KerasTensor))
            numbers.append((type(operation), [float(v) for v in rest if v is not None]))
        told.append(numbers)
    return told[0] == told[1]


def add_bias(tracer: Tracer, layer: Any, x: Signal) -> Signal:
    """The bias of a fused layer, if it has one."""
    if not layer.use_bias:
        return x
    tracer.carry(layer.bias, 0, x, initial=layer.bias_initializer)
    shape = [1] * len(x.shape)
    shape[x.axis] = -1

    def bias() -> Any:
        return ops.reshape(ops.cast(layer.bias, layer.compute_dtype), shape)

    return tracer.channelwise(
        lambda x: ops.add(x, bias()),
        x,
        shape=x.shape,
        linear_part=lambda change: change,
        shift=bias,
    )


def apply_activation(tracer: Tracer, layer: Any, x: Signal) -> Signal:
    """The activation of a fused layer, or of an Activation layer."""
    if layer.activation in (None, keras.activations.linear):
        return x
    elementwise = is_elementwise(layer.activation)
    if not elementwise and not (x.axis != -1 and _acts_on_last(layer.activation)):
        name = getattr(layer.activation, "__name__", str(layer.activation))
        tracer.freeze(
            x,
            f"activation {name!r} of {tracer.call.path!r} is not known to act on "
            "every element alone; register_activation declares that it does",
        )
    return tracer.channelwise(
        layer.activation, x, activation=layer.activation if elementwise else None
    )


def _acts_on_last(activation: Any) -> bool:
    """Whether it is known to keep numbers apart but for those along the last axis."""
    return any(activation is known for known in _along_the_last_axis)


@register(keras.layers.Activation)
def _activation(tracer: Tracer, layer: Any, x: Signal) -> Signal:
    return apply_activation(tracer, layer, x)


_LAYERS = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)


@register(*_LAYERS)
def _activation_layer(tracer: Tracer, layer: Any, x: Signal) -> Signal:
    return tracer.channelwise(tracer.call.run, x, activation=tracer.call.run)


@register(keras.layers.PReLU)
def _with_slopes(tracer: Tracer, layer: keras.layers.PReLU, x: Signal) -> Signal:
    """Its slopes have the shape of an example, shared axes of length 1."""
    if x.axis % len(x.shape) not in (layer.shared_axes or ()):
        tracer.carry(layer.alpha, x.axis, x, initial=layer.alpha_initializer)
    return tracer.channelwise(tracer.call.run, x, activation=tracer.call.run)


@register(keras.layers.Softmax, any_arguments=True)
def _softmax(
    tracer: Tracer, layer: keras.layers.Softmax, x: Signal, *mask: Signal
) -> Signal | tuple[Signal, ...]:
    """Its mask may be a tensor, or an array that is the same for all examples."""
    if any(length_along(array, x) != 1 for array in tracer.call.extras):
        return tracer.opaque(
            f"{tracer.call.path!r} has a mask for every channel", x, *mask
        )
    return softmax(tracer, layer.axis, x, *mask)


def softmax(
    tracer: Tracer, axis: Any, x: Signal, *mask: Signal
) -> Signal | tuple[Signal, ...]:
    """A softmax over some axes, masked by what has no channels."""
    rank = len(x.shape)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    if x.axis % rank in {each % rank for each in axes}:
        return tracer.opaque(
            f"{tracer.call.path!r} is a softmax over channels", x, *mask
        )
    if any(length_along(side, x) != 1 for side in mask):
        return tracer.opaque(
            f"{tracer.call.path!r} has a mask for every channel", x, *mask
        )
    return tracer.channelwise(tracer.call.run, x, sides=mask)


def length_along(side: Any, x: Signal) -> int | None:
    """Length that something broadcast against a signal has along its channels."""
    # A number or a truth value has none.
    shape = getattr(side, "shape", ())
    return shape[x.axis] if len(shape) >= -x.axis else 1
