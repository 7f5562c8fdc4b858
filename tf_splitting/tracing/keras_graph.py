"""Reads the calls of a Functional or Sequential model, nested models inlined.

The one place that touches private Keras API: `Functional._nodes_by_depth`,
`Sequential._functional`, `KerasTensor._keras_history`, `Operation._inbound_nodes`, and
`get_keras_mask` and `set_keras_mask`, as tensors of JAX take no attributes. The public
`clone_model(call_function=...)` shows the same calls but leaves a new node on every
layer of the user's model each time, and runs every layer's shape inference again.
`tests/tracing/test_keras_graph.py` fails when Keras changes what is used here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras.src.backend.common.masking import get_keras_mask, set_keras_mask

from tf_splitting.errors import ModelError
from tf_splitting.support import instance


@dataclass(frozen=True)
class Call:
    """One call of a layer or operation in the flattened graph.

    `inputs` and `outputs` are tensor numbers, `shapes` those of the outputs with the
    batch axis first; `path` is the layer's name behind the names of the nested models
    around it. `run` computes the output structure from the input tensors. `extras`
    are the arguments besides the tensors, as in `x * 0.5`; `plain` says that there are
    none, and that every tensor was passed by position. `masked` says that an output
    carries a Keras mask.
    """

    operation: Any
    path: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shapes: tuple[tuple[int | None, ...], ...]
    run: Callable[..., Any]
    extras: tuple[Any, ...]
    plain: bool
    masked: bool


@dataclass(frozen=True)
class FlatGraph:
    """A model as a list of calls in order of execution.

    `nested` holds, for every call of a nested model and each of its inputs, the nested
    model's own input tensor and the number of the tensor that it stands for.
    """

    calls: tuple[Call, ...]
    inputs: tuple[int, ...]
    input_names: tuple[str, ...]
    outputs: tuple[int, ...]
    shapes: dict[int, tuple[int | None, ...]]
    nested: tuple[tuple[Any, int], ...]


def flatten(model: keras.Model) -> FlatGraph:
    """Lists every call of a built Functional or Sequential model.

    Raises:
        ModelError: it is no model, is subclassed (it has no graph), or is not built.
    """
    reader = _Reader()
    functional = _functional(model)
    inputs = [reader.number(tensor.shape) for tensor in functional.inputs]
    outputs = reader.read(functional, inputs, prefix="")
    return FlatGraph(
        calls=tuple(reader.calls),
        inputs=tuple(inputs),
        input_names=tuple(input_name(tensor) for tensor in functional.inputs),
        outputs=tuple(outputs),
        shapes=reader.shapes,
        nested=tuple(reader.nested),
    )


def input_name(tensor: Any) -> str:
    """Name of the InputLayer behind a model's input; the tensor's own is made up."""
    return tensor._keras_history.operation.name


def operation_types(function: Callable[..., Any], arity: int = 1) -> tuple[type, ...]:
    """The class of operation that a `keras.ops` function leaves in a graph.

    Args:
        function: for example `keras.ops.relu`.
        arity: how many tensors it takes.

    Returns:
        One class, or none if the function is not made of a single operation.
    """
    probes = [keras.KerasTensor((None, 2, 2, 2)) for _ in range(arity)]
    node = function(*probes)._keras_history
    ids = {id(p) for p in probes}
    producer = node.operation._inbound_nodes[node.node_index]
    single = {id(t) for t in producer.input_tensors} == ids
    return (type(node.operation),) if single else ()


def check_model(model: keras.Model) -> None:
    """Raises unless calls of the model can be listed.

    Raises:
        ModelError: it is no model, is subclassed, or has not been built.
    """
    _functional(model)


def has_graph(operation: Any) -> bool:
    """Whether it is a Functional or Sequential model, whose calls can be listed."""
    return isinstance(operation, keras.Sequential) or hasattr(
        operation, "_nodes_by_depth"
    )


def leaf_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """All layers of a model, those of nested models in place of the models."""
    found: list[keras.layers.Layer] = []
    for layer in model.layers:
        found += leaf_layers(layer) if has_graph(layer) else [layer]
    return found


def _functional(model: keras.Model) -> keras.Model:
    expected = "a built Functional or Sequential keras.Model"
    hint = "Pass the model itself, not its name, its path, its class or a layer."
    instance("model", model, keras.Model, expected, hint, error=ModelError)
    if isinstance(model, keras.Sequential):
        if not model.built or model._functional is None:
            raise ModelError(
                f"Sequential model {model.name!r} has not been built: its layer "
                "widths are unknown. Start it with `keras.Input(shape=...)` or call "
                "`model.build(input_shape)`."
            )
        return model._functional
    if hasattr(model, "_nodes_by_depth"):
        return model
    raise ModelError(
        f"Got {type(model).__name__} {getattr(model, 'name', '')!r}; expected a "
        "Functional or Sequential keras.Model. A subclassed model hides its graph "
        "inside `call`: rebuild it as `keras.Model(inputs, outputs)`, for example "
        "by calling its layers on a `keras.Input`."
    )


class _Reader:
    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.shapes: dict[int, tuple[int | None, ...]] = {}
        self.nested: list[tuple[Any, int]] = []

    def number(self, shape: tuple[int | None, ...]) -> int:
        index = len(self.shapes)
        self.shapes[index] = tuple(shape)
        return index

    def read(
        self, functional: keras.Model, inputs: list[int], prefix: str
    ) -> list[int]:
        numbers = {id(t): i for t, i in zip(functional.inputs, inputs, strict=True)}
        for depth in sorted(functional._nodes_by_depth, reverse=True):
            for node in functional._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                arguments = [numbers[id(t)] for t in node.input_tensors]
                for tensor, index in zip(
                    node.outputs,
                    self._call(node, arguments, prefix),
                    strict=True,
                ):
                    numbers[id(tensor)] = index
        return [numbers[id(tensor)] for tensor in functional.outputs]

    def _call(self, node: Any, inputs: list[int], prefix: str) -> list[int]:
        operation = node.operation
        path = prefix + operation.name
        if has_graph(operation):
            functional = _functional(operation)
            self.nested.extend(zip(functional.inputs, inputs, strict=True))
            return self.read(functional, inputs, path + "/")
        outputs = [self.number(tensor.shape) for tensor in node.outputs]
        extras, by_name = _further_arguments(node)
        self.calls.append(
            Call(
                operation=operation,
                path=path,
                inputs=tuple(inputs),
                outputs=tuple(outputs),
                shapes=tuple(tuple(tensor.shape) for tensor in node.outputs),
                run=_runner(node),
                extras=tuple(extras),
                plain=not extras and not by_name,
                masked=any(mask_of(tensor) is not None for tensor in node.outputs),
            )
        )
        return outputs


def _further_arguments(node: Any) -> tuple[list[Any], list[Any]]:
    """Arguments of a call that are no tensors, and tensors passed by name."""
    tensors = {id(t) for t in node.input_tensors}
    named = {k: v for k, v in node.arguments.kwargs.items() if k != "training"}
    leaves = keras.tree.flatten((node.arguments.args, named))
    extras = [v for v in leaves if v is not None and id(v) not in tensors]
    return extras, [v for v in keras.tree.flatten(named) if id(v) in tensors]


def mask_of(tensor: Any) -> Any:
    """The Keras mask that a tensor carries, or None."""
    return get_keras_mask(tensor)


def with_mask(tensor: Any, mask: Any) -> Any:
    """The tensor, carrying this mask if it is one and the tensor has none yet."""
    if mask is not None and mask_of(tensor) is None:
        set_keras_mask(tensor, mask)
    return tensor


def carrying_mask(run: Callable[..., Any]) -> Callable[..., Any]:
    """`run`, its result carrying the first mask among its tensors, as layers do."""

    def masked(*tensors: Any) -> Any:
        masks = [m for m in map(mask_of, tensors) if m is not None]
        return with_mask(run(*tensors), masks[0] if masks else None)

    return masked


def _runner(node: Any) -> Callable[..., Any]:
    """A function of the call's tensors, its other arguments filled in."""
    order = {id(t): i for i, t in enumerate(node.input_tensors)}
    operation, arguments = node.operation, node.arguments
    is_layer = isinstance(operation, keras.layers.Layer)

    def run(*tensors: Any) -> Any:
        def fill(value: Any) -> Any:
            return tensors[order[id(value)]] if id(value) in order else value

        args, kwargs = keras.tree.map_structure(
            fill, (arguments.args, dict(arguments.kwargs))
        )
        if is_layer:
            kwargs["training"] = False
        return operation(*args, **kwargs)

    return run
