"""What a history holds of a model, besides its losses."""

from __future__ import annotations

from typing import Any

import keras

from tf_splitting.costs import count_params, macs_of_layers
from tf_splitting.tracing import ChannelGraph, trace
from tf_splitting.training import Seed


def described(
    model: keras.Model, graph: ChannelGraph, widths: dict[str, int] | None = None
) -> dict[str, Any]:
    """The fields that a `Seed` and a `RoundRecord` share.

    Args:
        model: as it is now.
        graph: its trace.
        widths: of all spaces, if they are known.
    """
    layers = macs_of_layers(graph)
    return {
        "macs": sum(layers.values()),
        "params": count_params(model),
        "widths": graph.widths if widths is None else widths,
        "layer_widths": graph.layer_widths(),
        "layer_macs": layers,
    }


def seed_of(model: keras.Model) -> Seed:
    """What a job says of the model that it starts from."""
    return Seed(**described(model, trace(model)))
