"""Recurrent layers: what they read may grow; what they remember is frozen.

All gates read the input through one kernel, and what is behind that product mixes it
with the step before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_splitting.tracing.keras_internals import mask_of, with_mask
from tf_splitting.tracing.rules.refusal import readable
from tf_splitting.tracing.rules.registry import register
from tf_splitting.tracing.sizes import product
from tf_splitting.tracing.tracer import Signal, Tracer

_GATES = {keras.layers.LSTM: 4, keras.layers.GRU: 3, keras.layers.SimpleRNN: 1}


_OTHERS = (
    keras.layers.ConvLSTM1D,
    keras.layers.ConvLSTM2D,
    keras.layers.ConvLSTM3D,
    keras.layers.RNN,
)


@register(*_GATES, *_OTHERS, any_arguments=True)
def _recurrent(tracer: Tracer, layer: Any, *xs: Signal) -> tuple[Signal, ...]:
    return _described(tracer, layer, xs, [layer])


@register(keras.layers.Bidirectional, any_arguments=True)
def _bidirectional(tracer: Tracer, layer: Any, *xs: Signal) -> tuple[Signal, ...]:
    return _described(tracer, layer, xs, [layer.forward_layer, layer.backward_layer])


def _described(
    tracer: Tracer, layer: Any, xs: Sequence[Signal], layers: Sequence[Any]
) -> tuple[Signal, ...]:
    mixes = (
        f"{tracer.call.path!r} is recurrent: every step mixes its channels with those "
        "of the step before"
    )
    known = all(type(each) in _GATES for each in layers)
    if not known:
        tracer.leave_uncounted()
    first = tracer.call.arguments[:1]
    if not known or not isinstance(first[0] if first else None, keras.KerasTensor):
        return tracer.opaque(mixes, *xs, macs=_macs(xs[0], layers) if known else 0)
    x = readable(tracer, layer, xs[0], -1)
    if isinstance(x, str):
        return tracer.opaque(x, *xs, macs=_macs(xs[0], layers))
    projected = [
        tracer.linear(
            x,
            each.cell.kernel,
            _projection(each),
            shape=(*x.shape[:-1], each.cell.kernel.shape[-1]),
        )
        for each in layers
    ]
    run = _behind_kernels(tracer.call.run, layers)
    remembered = [_remembering(each) for each in layers]
    macs = product((x.shape[1], sum(remembered)))
    return tracer.mixing(run, mixes, *projected, *xs[1:], macs=macs)


def _projection(layer: Any) -> Callable[[Any, Any], Any]:
    dtype = layer.compute_dtype

    def project(x: Any, kernel: Any) -> Any:
        product = ops.matmul(ops.cast(x, dtype), ops.cast(kernel, dtype))
        return with_mask(product, mask_of(x))

    return project


def _behind_kernels(
    run: Callable[..., Any], layers: Sequence[Any]
) -> Callable[..., Any]:
    """A call, from the products of its input and the layers' kernels on.

    It is the call itself, reading the products through kernels that change nothing.
    """
    kernels = [layer.cell.kernel for layer in layers]
    ends = np.cumsum([kernel.shape[-1] for kernel in kernels])

    def go_on(*tensors: Any) -> Any:
        products, others = tensors[: len(kernels)], tensors[len(kernels) :]
        joined = with_mask(ops.concatenate(products, axis=-1), mask_of(products[0]))
        columns = np.split(np.eye(ends[-1]), ends[:-1], axis=-1)
        # Of scopes within scopes, Keras asks the innermost alone.
        values = [(v, v.value) for layer in layers for v in layer.variables]
        with keras.StatelessScope(values) as scope:
            for kernel, unit in zip(kernels, columns, strict=True):
                scope.add_update((kernel, ops.convert_to_tensor(unit, kernel.dtype)))
            return run(joined, *others)

    return go_on


def _macs(x: Signal, layers: Sequence[Any]) -> int | None:
    """Those of every step's two products, where the first is not counted by itself."""
    read = product((x.shape[-1], sum(_made(layer) for layer in layers)))
    if read is None:
        return None
    return product((x.shape[1], read + sum(_remembering(layer) for layer in layers)))


def _made(layer: Any) -> int:
    return _GATES[type(layer)] * layer.units


def _remembering(layer: Any) -> int:
    """Multiply-accumulates of a step with what the step before left."""
    return _made(layer) * layer.units
