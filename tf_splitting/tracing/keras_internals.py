"""The one place that touches private Keras API; what it is for each function says.

`Functional._nodes_by_depth`, `_inputs_struct` and `_outputs_struct`,
`Sequential._functional`, `KerasTensor._keras_history`,
`Operation._inbound_nodes` and `._outbound_nodes`, the attributes of the nodes in these,
`Operation._auto_config`, `Layer._layers`, `Layer._seed_generators`,
`Variable._autocast`;
`compute_output_spec`; and `get_keras_mask` and `set_keras_mask`, as tensors of JAX take
no attributes.
`tests/tracing/test_keras_graph.py` fails when Keras changes what is used here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import keras
from keras.src.backend import compute_output_spec
from keras.src.backend.common.masking import get_keras_mask, set_keras_mask


def has_graph(operation: Any) -> bool:
    """Whether it is a Functional or Sequential model, whose calls can be listed."""
    return isinstance(operation, keras.Sequential) or hasattr(
        operation, "_nodes_by_depth"
    )


def functional_of(model: Any) -> Any:
    """The Functional model that one with a graph is or, if Sequential, wraps; or None.

    A Sequential model wraps one as soon as it has been built.
    """
    if isinstance(model, keras.Sequential):
        return model._functional if model.built else None
    return model


def nodes_of(functional: Any) -> Iterator[Any]:
    """The calls in a Functional model, in order of execution.

    The public `clone_model(call_function=...)` shows the same calls but leaves a new
    node on every layer of the user's model each time, and runs every layer's shape
    inference again.
    """
    for depth in sorted(functional._nodes_by_depth, reverse=True):
        for node in functional._nodes_by_depth[depth]:
            if not node.is_input:
                yield node


def run_through(
    functional: Any,
    inputs: Iterable[Any],
    call: Callable[[Any, Mapping[int, Any]], Any],
) -> Any:
    """Goes through the calls of a Functional model from other inputs.

    Args:
        functional: the model.
        inputs: what stands for its inputs, in their order.
        call: `call(node, values)` makes one call and returns its results; `values` is
            what stands for the tensors so far, by their `id`.

    Returns:
        What stands for its outputs, in their structure.
    """
    values = {id(t): v for t, v in zip(functional.inputs, inputs, strict=True)}
    for node in nodes_of(functional):
        results = keras.tree.flatten(call(node, values))
        values.update(zip(map(id, node.outputs), results, strict=True))
    return keras.tree.map_structure(lambda t: values[id(t)], functional.output)


def producer(tensor: Any) -> Any:
    """The call that a symbolic tensor comes from; None if it comes from none."""
    history = getattr(tensor, "_keras_history", None)
    if history is None or history.operation is None:
        return None
    node = history.operation._inbound_nodes[history.node_index]
    return None if node.is_input else node


def input_name(tensor: Any) -> str:
    """Name of the InputLayer behind a model's input; the tensor's own is made up."""
    return tensor._keras_history.operation.name


def structures_of(model: Any) -> tuple[Any, Any]:
    """Symbolic inputs and outputs of a model with a graph, as it takes and yields them.

    `model.inputs` and `model.outputs` are flat.
    """
    functional = functional_of(model)
    return functional._inputs_struct, functional._outputs_struct


def sublayers(layer: Any) -> list[Any]:
    """The layers that a layer holds itself, without those that these hold."""
    return list(layer._layers)


def seed_generators(layer: Any) -> list[Any]:
    """What a layer itself draws random numbers from."""
    return list(layer._seed_generators)


def is_cast(variable: Any) -> bool:
    """Whether layers that compute in another type read a variable in that type."""
    return variable._autocast


def count_calls(layer: Any) -> tuple[int, int]:
    """How many calls of a layer are noted on it, and how many that read its results."""
    return len(layer._inbound_nodes), len(layer._outbound_nodes)


def forget_calls(layer: Any, counts: tuple[int, int]) -> None:
    """Takes the calls off a layer that came after the counts were taken."""
    calls, readers = counts
    del layer._inbound_nodes[calls:]
    del layer._outbound_nodes[readers:]


def settle_batch(operation: Any) -> bool:
    """Makes a reshaping that names the batch's size, which is not known, infer it.

    Returns:
        Whether the operation can be run: all other sizes in its settings are known.
    """
    if type(operation) in _RESHAPING:
        shape = tuple(operation.newshape)
        if shape.count(None) == 1 and -1 not in shape:
            operation.newshape = tuple(-1 if n is None else n for n in shape)
            # What it is saved and made anew from.
            operation._auto_config.config["newshape"] = operation.newshape
    return not any(
        isinstance(value, (tuple, list)) and None in value
        for value in vars(operation).values()
    )


def is_reshaping(operation: Any) -> bool:
    """Whether it is what `keras.ops.reshape` leaves in a graph."""
    return type(operation) in _RESHAPING


def remade_reshaping(operation: Any, shape: Sequence[int]) -> Any:
    """A new reshaping, to another shape; -1 stands for a size to be inferred."""
    config = {**operation.get_config(), "newshape": tuple(shape)}
    # Two of a name cannot be in one model, and before Keras 3.11 none takes a name.
    config.pop("name", None)
    return type(operation).from_config(config)


def results_of(
    run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> list[Any] | None:
    """What a function of symbolic tensors returns, flat, found without running it."""
    try:
        return keras.tree.flatten(compute_output_spec(run, *args, **kwargs))
    except Exception:
        # Of whatever kind: then nobody can say.
        return None


def true_shapes(
    run: Callable[..., Any], tensors: Sequence[Any]
) -> list[tuple[int | None, ...]] | None:
    """Shapes of what a function of tensors returns, found without running it.

    Layers do not always say them as far as they can be known.
    """
    results = results_of(run, tensors, {})
    if results is None or not all(isinstance(t, keras.KerasTensor) for t in results):
        return None
    return [tuple(tensor.shape) for tensor in results]


@contextmanager
def told_by_call(layers: Iterable[Any]) -> Iterator[None]:
    """Lets layers be called symbolically whose shape inference does not know how.

    Some inherit it from a class whose call takes or returns less, and some leave sizes
    open that follow from those of what they are called with. What their own call
    returns is found without running it, as Keras does for other layers.
    """

    def told(layer: Any) -> Callable[..., Any]:
        theirs = layer.compute_output_spec
        older = _is_older_than_its_call(layer)

        def compute(*args: Any, **kwargs: Any) -> Any:
            if older:
                # Of whatever kind an error is: it is the layer's own code.
                with suppress(Exception):
                    return compute_output_spec(layer.call, *args, **kwargs)
            try:
                results = theirs(*args, **kwargs)
            except Exception:
                # Of whatever kind: it is the layer's own code.
                return compute_output_spec(layer.call, *args, **kwargs)
            if _all_known(results) or not _all_known((args, kwargs)):
                return results
            found = results_of(layer.call, args, kwargs)
            return (
                results
                if found is None
                else keras.tree.pack_sequence_as(results, found)
            )

        return compute

    changed = [each for each in layers if "compute_output_spec" not in vars(each)]
    for each in changed:
        vars(each)["compute_output_spec"] = told(each)
    try:
        yield
    finally:
        for each in changed:
            del vars(each)["compute_output_spec"]


def _is_older_than_its_call(layer: Any) -> bool:
    """Whether a layer tells shapes as a class above the one that its call is of."""
    classes = type(layer).__mro__

    def place(name: str) -> int:
        return next(n for n, kind in enumerate(classes) if name in vars(kind))

    told = min(place("compute_output_shape"), place("compute_output_spec"))
    return place("call") < told < classes.index(keras.layers.Layer)


def _all_known(tensors: Any) -> bool:
    """Whether all sizes of the tensors in a structure are known."""
    return all(
        None not in each.shape
        for each in keras.tree.flatten(tensors)
        if isinstance(each, keras.KerasTensor)
    )


def mask_of(tensor: Any) -> Any:
    """The Keras mask that a tensor carries, or None."""
    return get_keras_mask(tensor)


def with_mask(tensor: Any, mask: Any) -> Any:
    """The tensor, carrying this mask if it is one and the tensor has none yet."""
    if mask is not None and mask_of(tensor) is None:
        set_keras_mask(tensor, mask)
    return tensor


def operation_types(
    function: Callable[..., Any],
    arity: int = 1,
    shape: tuple[int | None, ...] = (None, 2, 2, 2),
) -> tuple[type, ...]:
    """The class of operation that a `keras.ops` function leaves in a graph.

    Args:
        function: for example `keras.ops.relu`.
        arity: how many tensors it takes.
        shape: of each.

    Returns:
        One class, or none if the function is not made of a single operation.
    """
    probes = [keras.KerasTensor(shape) for _ in range(arity)]
    node = producer(function(*probes))
    ids = {id(p) for p in probes}
    single = {id(t) for t in node.input_tensors} == ids
    return (type(node.operation),) if single else ()


_RESHAPING = operation_types(lambda x: keras.ops.reshape(x, (-1, 2, 4)))
