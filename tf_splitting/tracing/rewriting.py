"""Symbolic calls made anew, some of them in another way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras

# What a call yields in another way, from a function that says what stands for its
# tensors by now; None for a call that is as it should be.
Instead = Callable[[Any, Callable[[Any], Any]], "list[Any] | None"]


def rewritten(outputs: Any, nodes: Iterable[Any], instead: Instead) -> Any:
    """Symbolic tensors that are the same, made in another way.

    Args:
        outputs: tensors in a structure.
        nodes: the calls that they come from, in order.
        instead: how to make a call.
    """
    values: dict[int, Any] = {}

    def now(value: Any) -> Any:
        return values.get(id(value), value)

    for node in nodes:
        results = instead(node, now)
        if results is None:
            if not any(id(x) in values for x in node.input_tensors):
                continue
            args, kwargs = keras.tree.map_structure(
                now, (node.arguments.args, dict(node.arguments.kwargs))
            )
            results = keras.tree.flatten(node.operation(*args, **kwargs))
        values.update(zip(map(id, node.outputs), results, strict=True))
    return keras.tree.map_structure(now, outputs)
