"""What a tracer takes down call by call, and the channel graph it comes to.

Names of spaces are known once all ties are: until then everything hangs on groups.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tf_splitting.tracing import graph as g
from tf_splitting.tracing.keras_graph import FlatGraph
from tf_splitting.tracing.layout import Block, Layout
from tf_splitting.tracing.ties import Blocks, Ties, whole

# Why channels are frozen that a table alone has, or an array.
_UNMADE = "no layer makes its channels"


@dataclass
class Record:
    """Everything that layers have said of themselves.

    Attributes:
        ties: between the channels of all axes below.
        steps: computations in order.
        terms: layer, factor and axes of the products that add up to the MACs.
        producers, consumers: layers that create and that read channels.
        activations: layer, axis and channels of every output of a call.
        nested: inputs of nested models: tensor, axis, channels.
        uncounted: layers whose MACs nobody knows.
    """

    ties: Ties = field(default_factory=Ties)
    steps: list[g.Step] = field(default_factory=list)
    terms: list[tuple[str, int | None, tuple[Blocks, ...]]] = field(
        default_factory=list
    )
    producers: list[tuple[str, Blocks]] = field(default_factory=list)
    consumers: list[tuple[str, Blocks]] = field(default_factory=list)
    activations: list[tuple[str, int, Blocks]] = field(default_factory=list)
    nested: dict[int, tuple[Any, int, Blocks]] = field(default_factory=dict)
    uncounted: dict[str, None] = field(default_factory=dict)
    _variables: dict[int, tuple[str, Any]] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _axes: dict[int, dict[tuple[int, g.Role], tuple[Blocks, g.Carried | None]]] = field(
        default_factory=dict
    )
    _configs: dict[tuple[int, str, int | None], tuple[Any, Blocks]] = field(
        default_factory=dict
    )
    _constants: dict[tuple[int, int, int], tuple[Any, Any, Blocks]] = field(
        default_factory=dict
    )

    def name(self, variable: Any, path: str) -> str:
        """The name of a weight: its own behind that of the first layer to use it."""
        known = self._variables.get(id(variable))
        if known is None:
            name = f"{path}/{variable.name}"
            if name in self._taken:
                name = f"{name}_{len(self._taken)}"
            self._taken.add(name)
            known = self._variables.setdefault(id(variable), (name, variable))
        return known[0]

    def declare(
        self,
        variable: Any,
        axis: int,
        role: g.Role,
        blocks: Blocks,
        path: str,
        carried: g.Carried | None = None,
    ) -> None:
        """An axis of a weight holds these channels."""
        self.name(variable, path)
        axis = axis % len(variable.shape)
        axes = self._axes.setdefault(id(variable), {})
        if (axis, role) in axes:
            # A layer called again: both calls read and write the same weight.
            self.ties.tie(axes[(axis, role)][0], blocks, path)
        else:
            axes[(axis, role)] = blocks, carried

    def configure(
        self, layer: Any, key: str, index: int | None, blocks: Blocks, path: str
    ) -> None:
        """An entry of a layer's config is the number of these channels."""
        _, first = self._configs.setdefault((id(layer), key, index), (layer, blocks))
        # A layer called again has one config for both calls.
        self.ties.tie(first, blocks, path)

    def hold(self, operation: Any, array: Any, axis: int, blocks: Blocks) -> None:
        """An axis of an array that an operation is called with holds these channels."""
        key = id(operation), id(array), axis
        _, _, first = self._constants.setdefault(key, (operation, array, blocks))
        # A nested model called again: both calls read the same array.
        self.ties.tie(first, blocks, operation.name)

    def resolve(
        self, flat: FlatGraph, outputs: tuple[int, ...], name: str
    ) -> g.ChannelGraph:
        """Turns ties into named spaces and everything recorded into plain data.

        Args:
            flat: the model's calls.
            outputs: numbers of the tensors that the model returns.
            name: of the model.
        """
        names = self.ties.names()

        def layout(blocks: Blocks) -> Layout:
            return tuple(Block(names[group], times) for group, times in whole(blocks))

        members: dict[str, tuple[dict[str, None], dict[str, None]]] = {
            space: ({}, {}) for space in names.values()
        }
        for column, entries in enumerate((self.producers, self.consumers)):
            for layer, blocks in entries:
                for block in layout(blocks):
                    members[block.space][column].setdefault(layer)
        spaces = tuple(
            g.ChannelSpace(
                name=space,
                width=group.width,
                producers=tuple(members[space][0]),
                consumers=tuple(members[space][1]),
                frozen=group.frozen or (None if members[space][0] else _UNMADE),
            )
            for group, space in names.items()
        )
        return g.ChannelGraph(
            name=name,
            spaces=spaces,
            terms=tuple(
                g.Term(layer, factor, tuple(layout(b) for b in axes))
                for layer, factor, axes in self.terms
            ),
            weights=tuple(
                g.WeightUse(
                    *self._variables[key],
                    tuple(
                        g.AxisUse(axis, role, layout(blocks), carried)
                        for (axis, role), (blocks, carried) in axes.items()
                    ),
                )
                for key, axes in self._axes.items()
            ),
            configs=tuple(
                g.ConfigUse(layer, key, index, layout(blocks))
                for (_, key, index), (layer, blocks) in self._configs.items()
            ),
            constants=tuple(
                g.ConstantUse(operation, array, axis, layout(blocks))
                for (_, _, axis), (operation, array, blocks) in self._constants.items()
            ),
            activations=tuple(
                g.Activation(layer, axis, layout(blocks))
                for layer, axis, blocks in self.activations
            ),
            nested_inputs=tuple(
                g.InputUse(tensor, axis, layout(blocks))
                for tensor, axis, blocks in self.nested.values()
            ),
            uncounted=tuple(self.uncounted),
            steps=tuple(self.steps),
            insides=flat.insides,
            inputs=flat.inputs,
            input_names=flat.input_names,
            outputs=outputs,
        )
