"""From a model to its channel graph: what may grow, and what is tied to what.

In: a Functional or Sequential Keras model.
Out: a `ChannelGraph` of plain data; the numbering of its neurons; clones of models.
`rules/` holds one file per family of layers.
Imports from: support.
"""

from tf_splitting.tracing import layout
from tf_splitting.tracing.cloning import Clone, clone
from tf_splitting.tracing.graph import (
    IS_INPUT,
    IS_OUTPUT,
    Activation,
    AxisUse,
    Carried,
    ChannelGraph,
    ChannelSpace,
    Role,
    Step,
    Term,
    WeightUse,
)
from tf_splitting.tracing.input_shapes import filled_in
from tf_splitting.tracing.inside import Inside, look_inside
from tf_splitting.tracing.keras_graph import FlatGraph
from tf_splitting.tracing.keras_internals import (
    has_graph,
    input_name,
    mask_of,
    nodes_of,
    structures_of,
    with_mask,
)
from tf_splitting.tracing.layout import size
from tf_splitting.tracing.neurons import Field, Neurons, Slot, as_numpy
from tf_splitting.tracing.readable import check_model, leaf_layers
from tf_splitting.tracing.remaking import RemakeError, remake, remake_layer
from tf_splitting.tracing.rules.activations import register_activation
from tf_splitting.tracing.rules.registry import register, resize_for, rule_for
from tf_splitting.tracing.symbolic_call import ClosedError, layers_in
from tf_splitting.tracing.trace_model import flatten, trace
from tf_splitting.tracing.tracer import Signal, Tracer

__all__ = [
    "IS_INPUT",
    "IS_OUTPUT",
    "Activation",
    "AxisUse",
    "Carried",
    "ChannelGraph",
    "ChannelSpace",
    "Clone",
    "ClosedError",
    "Field",
    "FlatGraph",
    "Inside",
    "Neurons",
    "RemakeError",
    "Role",
    "Signal",
    "Slot",
    "Step",
    "Term",
    "Tracer",
    "WeightUse",
    "as_numpy",
    "check_model",
    "clone",
    "filled_in",
    "flatten",
    "has_graph",
    "input_name",
    "layers_in",
    "layout",
    "leaf_layers",
    "look_inside",
    "mask_of",
    "nodes_of",
    "register",
    "register_activation",
    "remake",
    "remake_layer",
    "resize_for",
    "rule_for",
    "size",
    "structures_of",
    "trace",
    "with_mask",
]
