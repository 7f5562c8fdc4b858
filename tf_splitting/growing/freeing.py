"""Frees what backends keep of models and functions that are gone.

TensorFlow: a custom gradient, such as that of swish, is registered by name for every
operation that a function is traced with, and the registration holds the function's
whole graph. Nobody ever takes it back, so a job would keep the graphs of all its
models, 10 MB a round for a small one. This is the one place that reaches into that
registry (`tests/growing/test_freeing.py` fails when TensorFlow changes it).

JAX: every operation is compiled for the shapes it meets, and the programs stay for as
long as the process: 100 MB a round for a small model, whose widths never come back.

Source: `custom_gradient` in tensorflow/python/ops/custom_gradient.py, and
`RegisterGradient` in tensorflow/python/framework/ops.py; `jax.clear_caches`.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import keras

_PREFIX = "CustomGradient-"


def free_old_functions() -> None:
    """Frees what the backend keeps of functions that nobody will call again.

    On JAX these are all compiled functions of the process: those still in use are
    compiled again when they are called next.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        free_dead_graphs()
    elif backend == "jax":
        import jax

        # Models lie in cycles, and what they hold is freed only after them.
        gc.collect()
        jax.clear_caches()


def free_dead_graphs() -> int:
    """Takes back the custom gradients of TensorFlow functions that are gone.

    Returns:
        How many there were.
    """
    from tensorflow.python.framework import func_graph, ops

    gc.collect()
    registered = ops.gradient_registry._registry
    graphs = {
        name: _graph_of(entry["type"])
        for name, entry in registered.items()
        if name.startswith(_PREFIX)
    }
    # Most of the time goes into looking for functions.
    functions = _functions() if graphs else set()
    dead = [
        name
        for name, graph in graphs.items()
        if isinstance(graph, func_graph.FuncGraph)
        and not any(id(each) in functions for each in _outwards(graph))
    ]
    if dead:
        for name in dead:
            del registered[name]
        graphs.clear()
        gc.collect()
    return len(dead)


def _functions() -> set[int]:
    """Graphs of all functions that can be called, by `id`."""
    from tensorflow.python.eager.polymorphic_function import concrete_function

    # Not of the atomic functions behind them: graphs hold those of their branches.
    kind = concrete_function.ConcreteFunction
    # `isinstance` takes four times as long for a class that can be registered with.
    kinds = {kind, *kind.__subclasses__()}
    return {id(each.graph) for each in gc.get_objects() if type(each) in kinds}


def _outwards(graph: Any) -> Iterator[Any]:
    """A graph, such as that of a branch, and those that it lies in."""
    from tensorflow.python.framework import func_graph

    while isinstance(graph, func_graph.FuncGraph):
        yield graph
        graph = graph.outer_graph


def _graph_of(gradient: Callable[..., Any]) -> Any:
    """The graph whose tensors a registered gradient holds; None if it has none."""
    return next((tensor.graph for tensor in _held(gradient, 3)), None)


def _held(thing: Any, depth: int) -> Iterator[Any]:
    """Symbolic tensors that a function's closure holds."""
    from tensorflow.python.framework import ops

    if isinstance(thing, ops.SymbolicTensor):
        yield thing
    elif depth and isinstance(thing, (list, tuple)):
        for each in thing:
            yield from _held(each, depth - 1)
    elif depth:
        for cell in getattr(thing, "__closure__", None) or ():
            yield from _held(cell.cell_contents, depth - 1)
