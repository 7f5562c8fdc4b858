"""Checks a rebuilt model against its plan: widths, MACs, and that it computes the same.

Cheap: one trace of the new model, and one forward pass of both on one batch. Only if
outputs differ are both models walked through call by call to find where it begins.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tf_splitting.errors import RebuildError
from tf_splitting.rebuilding.gathering import Gathering
from tf_splitting.tracing import (
    Activation,
    ChannelGraph,
    FlatGraph,
    flatten,
    leaf_layers,
)
from tf_splitting.tracing import layout as lay

# Largest difference allowed, relative to the largest value. Rounding of float32 grows
# to 1e-5 over a hundred layers; a wrong weight shows at once.
_TOLERANCES = {"float64": 1e-9, "float32": 1e-3}
_LOW_PRECISION = 5e-2
_EXAMPLES = 32
_REPORT = "This is a bug: please report it with the model's config."


def check_widths(
    old: keras.Model, graph: ChannelGraph, rebuilt: ChannelGraph, gathering: Gathering
) -> None:
    """Raises unless the rebuilt model's spaces are as wide as planned.

    Raises:
        RebuildError: a space is not.
    """
    planned = gathering.new_widths
    for space, width in rebuilt.widths.items():
        if planned.get(space) != width:
            raise RebuildError(
                f"Space {space!r} of the rebuilt model {graph.name!r} has {width} "
                f"neurons; planned were {planned.get(space)}. {_REPORT}",
                old,
            )
    # A model's MACs are its terms at its widths: equal terms make the MACs planned. Of
    # shapes that were not known before some may be now.
    known = [term for term in graph.terms if term.factor is not None]
    if len(graph.terms) != len(rebuilt.terms) or not set(known) <= set(rebuilt.terms):
        raise RebuildError(
            f"The rebuilt model {graph.name!r} has other MACs than planned. {_REPORT}",
            old,
        )


def check_function(
    old: keras.Model,
    new: keras.Model,
    graph: ChannelGraph,
    gathering: Gathering,
    x: Any,
    unharmed: keras.Model | None = None,
) -> None:
    """Raises unless two models, of which one was rebuilt, compute the same.

    Args:
        old: the model before, or what is to be compared in place of it.
        new: the rebuilt model, at ε = 0.
        graph: the old model's trace.
        gathering: the plan worked out.
        x: a batch of inputs, as the model takes them; 32 examples are used.
        unharmed: the model before, if `old` is another.

    Raises:
        RebuildError: outputs differ; it names the first layer whose output does.
    """
    x = keras.tree.map_structure(lambda a: a[:_EXAMPLES], x)
    tolerance = _tolerance(old)
    before, after = (keras.tree.flatten(m(x, training=False)) for m in (old, new))
    worst = max(map(_difference, before, after))
    if worst <= tolerance:
        return
    layer = _first_difference(old, new, graph, gathering, x, tolerance)
    raise RebuildError(
        f"The rebuilt model {graph.name!r} computes something else: outputs differ by "
        f"{worst:.2g} of their largest value, where {tolerance:g} is allowed. The "
        f"first layer whose output differs is {layer!r}. The model before it "
        "is unharmed, and this error's attribute `model`. A layer that draws random "
        "numbers in inference mode needs verify off; a layer of your own may describe "
        "itself wrongly in trace_channels.",
        old if unharmed is None else unharmed,
    )


def _tolerance(model: keras.Model) -> float:
    return max(
        _TOLERANCES.get(layer.compute_dtype, _LOW_PRECISION)
        for layer in leaf_layers(model)
    )


def _difference(a: Any, b: Any) -> float:
    """Largest difference of two tensors, relative to the largest value."""
    a, b = (np.asarray(keras.ops.convert_to_numpy(t), np.float64) for t in (a, b))
    if a.shape != b.shape:
        return np.inf
    scale = np.abs(a).max(initial=0.0)
    gap = np.abs(a - b).max(initial=0.0)
    return 0.0 if gap == 0 else float(gap / scale) if scale else np.inf


def _first_difference(
    old: keras.Model,
    new: keras.Model,
    graph: ChannelGraph,
    gathering: Gathering,
    x: Any,
    tolerance: float,
) -> str:
    """Path of the first layer whose output is not its old one, copied."""
    flats = flatten(old), flatten(new)
    activations = iter(graph.activations)
    for ours, theirs in zip(_outputs(flats[0], x), _outputs(flats[1], x), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            activation = next(activations)
            if _difference(*_matched(a, b, activation, gathering)) > tolerance:
                return activation.layer
    return graph.activations[-1].layer


def _outputs(flat: FlatGraph, x: Any) -> Any:
    """The outputs of every call, one call after the other."""
    tensors = [keras.ops.convert_to_tensor(a) for a in keras.tree.flatten(x)]
    values = dict(zip(flat.inputs, tensors, strict=True))
    for call in flat.calls:
        results = keras.tree.flatten(call.run(*(values[i] for i in call.inputs)))
        values.update(zip(call.outputs, results, strict=True))
        yield results


def _matched(
    old: Any, new: Any, activation: Activation, gathering: Gathering
) -> tuple[np.ndarray, np.ndarray]:
    """An output and what it has become, where neurons are old ones or copies."""
    old, new = (keras.ops.convert_to_numpy(t) for t in (old, new))
    if old.ndim < 2:
        return old, new
    index = lay.sources(activation.layout, gathering.widths, gathering.gathers)
    kept = np.flatnonzero(lay.spread(activation.layout, gathering.shares))
    if new.shape[activation.axis] != len(index):
        return old, new
    return (
        np.take(old, index[kept], activation.axis),
        np.take(new, kept, activation.axis),
    )
