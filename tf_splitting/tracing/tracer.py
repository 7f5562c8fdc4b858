"""Traces a Keras model into channel spaces.

Every layer describes itself to a `Tracer` as a sequence of primitives: a linear map
that mixes channels, a channel-wise function, a join, or something opaque. The tracer
ties the channel axes that must keep one width (a union-find over axes) and records
steps, weights and cost terms; once all calls are seen, the ties are resolved into a
`ChannelGraph` of plain data. `trace_channels`, by which a layer describes itself, is
the whole protocol a layer needs in order to be split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from keras import ops

from tf_splitting.tracing import graph as g
from tf_splitting.tracing import keras_graph
from tf_splitting.tracing.layout import Block, Layout


@dataclass(eq=False)
class _Group:
    """A channel space in the making: a node of the union-find.

    `parts` are the groups it turned out to consist of, where an Add met a tensor whose
    channels are several spaces end to end.
    """

    width: int
    layer: str
    order: int
    parent: _Group | None = None
    parts: tuple[_Group, ...] = ()
    frozen: str | None = None

    def root(self) -> _Group:
        node = self
        while node.parent is not None:
            node = node.parent
        return node


_Blocks = tuple[tuple[_Group, int], ...]


def _whole(blocks: _Blocks) -> _Blocks:
    """The blocks with every group replaced by its root or the root's parts."""
    whole: list[tuple[_Group, int]] = []
    for group, repeat in blocks:
        root = group.root()
        if root.parts:
            whole.extend(_whole(tuple((part, repeat) for part in root.parts)))
        else:
            whole.append((root, repeat))
    return tuple(whole)


@dataclass(frozen=True)
class Signal:
    """A tensor during tracing: its number, shape, channel axis and channels."""

    index: int
    shape: tuple[int | None, ...]
    axis: int
    blocks: _Blocks

    @property
    def width(self) -> int:
        """Number of channels."""
        return sum(group.width * repeat for group, repeat in self.blocks)


class Tracer:
    """What a layer's `trace_channels(tracer, *inputs)` describes the layer with.

    Every primitive takes and returns `Signal`s. Anything a layer does not declare is
    carried over unchanged when the model is rebuilt.
    """

    def __init__(self, *, split_untrainable: bool = False) -> None:
        self._split_untrainable = split_untrainable
        self._signals: dict[int, Signal] = {}
        self._temporaries = 0
        self._groups: list[_Group] = []
        self._steps: list[g.Step] = []
        self._terms: list[tuple[str, int | None, tuple[_Blocks, ...]]] = []
        self._axes: dict[int, dict[tuple[int, g.Role], _Blocks]] = {}
        self._variables: dict[int, tuple[str, Any]] = {}
        self._taken: set[str] = set()
        self._configs: dict[tuple[int, str, int | None], tuple[Any, _Blocks]] = {}
        self._nested: dict[int, tuple[Any, Signal]] = {}
        self._uncounted: dict[str, None] = {}
        self._opaque: set[int] = set()
        self._touched: dict[int, list[tuple[Signal, ...]]] = {}
        self._producers: list[tuple[str, _Blocks]] = []
        self._consumers: list[tuple[str, _Blocks]] = []
        self._activations: list[tuple[str, int, _Blocks]] = []
        self.call: keras_graph.Call

    # The primitives -----------------------------------------------------------

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Shape of the first output of the layer being traced, batch axis first."""
        return self.call.shapes[0]

    def linear(
        self,
        x: Signal,
        kernel: Any,
        run: Callable[[Any, Any], Any],
        *,
        in_axis: int | None = -2,
        out_axis: int = -1,
        shape: tuple[int | None, ...] | None = None,
        channel_axis: int = -1,
        positions: int | None = None,
    ) -> Signal:
        """A map that mixes channels: it consumes those of `x` and produces new ones.

        Args:
            x: what it reads.
            kernel: the `keras.Variable` it multiplies with.
            run: `run(x, kernel)`, linear in `x` and in `kernel`; no bias.
            in_axis, out_axis: axes of the kernel that read and create channels;
                `in_axis` is None if no axis lies along the channels of `x`.
            shape: shape of the result; default: that of the layer's output.
            channel_axis: axis of the result that holds the channels.
            positions: how often the kernel is applied per example, for MACs;
                default: the number of output positions.
        """
        shape = shape or self.output_shape
        group = self._new_group(kernel.shape[out_axis], self.call.path)
        result = self._emit("linear", run, (x,), shape, channel_axis, ((group, 1),))
        along = [1] * len(kernel.shape)
        along[out_axis] = -1
        self._steps[-1] = replace(
            self._steps[-1],
            kernel=self._name(kernel),
            scaled=lambda factor: (
                lambda x, kernel: run(x, kernel * ops.reshape(factor, along))
            ),
        )
        axes, window = [result.blocks], math.prod(kernel.shape)
        if in_axis is not None:
            self._declare(kernel, in_axis, "consumed", x.blocks)
            self._consumers.append((self.call.path, x.blocks))
            axes.insert(0, x.blocks)
            window //= kernel.shape[in_axis]
        self._declare(kernel, out_axis, "produced", result.blocks)
        self._producers.append((self.call.path, result.blocks))
        if positions is None:
            positions = count_positions(shape, channel_axis)
        if positions != 0:
            self._add_term(positions, window // kernel.shape[out_axis], *axes)
        if not kernel.trainable and not self._split_untrainable:
            self.freeze(
                result, f"its producer {self.call.path!r} is not trainable (frozen)"
            )
        return result

    def channelwise(
        self,
        run: Callable[..., Any],
        *xs: Signal,
        sides: Sequence[Signal] = (),
        shape: tuple[int | None, ...] | None = None,
        repeat: int = 1,
        channel_axis: int | None = None,
        macs_per_channel: int | None = 0,
        linear_part: Callable[..., Any] | None = None,
        activation: Callable[..., Any] | None = None,
        factor: Callable[[], Any] | None = None,
        shift: Callable[[], Any] | None = None,
        scaled: Callable[[Any], Callable[..., Any]] | None = None,
    ) -> Signal:
        """A function that keeps channel i in channel i; several inputs are tied.

        An input with one channel that meets others with more is broadcast: it has to
        keep its single channel, and leaves the others free.

        Args:
            run: `run(*tensors)`, in inference mode.
            xs: its inputs.
            sides: tensors that hold no channels, such as a mask; `run` gets them
                behind the inputs.
            shape: shape of the result; default: that of the layer's output.
            repeat: channels that come out for each that goes in, side by side.
            channel_axis: axis of the result that holds the channels; default: the
                one of the first input, counted from the end.
            macs_per_channel: multiply-accumulates for each channel that comes out.
            linear_part: of a `run` that is affine in all its inputs together (but not
                in the sides, which it gets too): how its output changes with them;
                `run` itself if it is linear. Estimates are right without, but slower.
            activation: the function, if `run` applies one to every element.
            factor, shift: if `run` multiplies every channel by a number and adds
                another, or only adds one: functions without arguments that return
                these, ready to be broadcast.
            scaled: `scaled(factor)` is `run` with its result multiplied by such a
                factor, at no cost, because `run` has a kernel to put it in.
        """
        for side in sides:
            self.freeze(side, f"{self.call.path!r} reads it as a whole")
        widest = max(xs, key=lambda x: x.width)
        for other in xs:
            if other.width < widest.width:
                self.freeze(other, f"{self.call.path!r} broadcasts it over channels")
            elif other is not widest:
                self._tie(widest.blocks, other.blocks)
        if channel_axis is None:
            channel_axis = xs[0].axis
        blocks = tuple((group, r * repeat) for group, r in widest.blocks)
        shape = shape or self.output_shape
        inputs = (*xs, *sides)
        result = self._emit("channelwise", run, inputs, shape, channel_axis, blocks)
        self._steps[-1] = replace(
            self._steps[-1],
            sides=len(sides),
            linear_part=linear_part,
            # Known derivatives do not carry masks.
            activation=None if self.call.masked else activation,
            factor=None if self.call.masked else factor,
            shift=None if self.call.masked else shift,
            scaled=scaled,
        )
        if macs_per_channel != 0:
            self._add_term(macs_per_channel, 1, blocks)
        return result

    def along(self, x: Signal, axis: int) -> Signal | None:
        """The signal seen along another axis, or None where that would be wrong.

        What is frozen may be read along any axis: a model's input does not say which
        of its axes holds channels.
        """
        axis = axis if axis < 0 else axis - len(x.shape)
        if x.axis == axis:
            return x
        if self._grows(x) or axis + len(x.shape) < 1:
            return None
        width = 1 if x.shape[axis] is None else x.shape[axis]
        frozen, _ = _whole(x.blocks)[0]
        group = self._new_group(width, frozen.layer, frozen.frozen)
        return Signal(x.index, x.shape, axis, ((group, 1),))

    def join(self, run: Callable[..., Any], *xs: Signal) -> Signal:
        """Channels of several tensors end to end, not tied."""
        blocks = tuple(block for x in xs for block in x.blocks)
        return self._moved(run, xs, xs[0].axis, blocks)

    def tile(self, run: Callable[..., Any], x: Signal, times: int) -> Signal:
        """The channels `times` in a row on the last axis, as Flatten does."""
        return self._moved(run, (x,), -1, x.blocks * times)

    def carry(self, variable: Any, axis: int, signal: Signal) -> None:
        """Axis `axis` of a weight holds one slice for each channel of `signal`."""
        self._declare(variable, axis, "carried", signal.blocks)

    def config(self, key: str, signal: Signal, index: int | None = None) -> None:
        """Entry `key` (its item `index`) of the config is the width of `signal`."""
        layer = self.call.operation
        entry = (id(layer), key, index)
        _, first = self._configs.setdefault(entry, (layer, signal.blocks))
        # A layer called again has one config for both calls.
        self._tie(first, signal.blocks)

    def freeze(self, signal: Signal, reason: str) -> None:
        """The channels of `signal` must keep their number."""
        for group, _ in _whole(signal.blocks):
            group.frozen = group.frozen or reason

    def opaque(
        self, reason: str, *xs: Signal, macs: int | None = 0
    ) -> tuple[Signal, ...]:
        """The whole call is something nobody has described: freezes all it touches.

        Args:
            reason: why, in words.
            xs: all inputs of the call.
            macs: multiply-accumulates per example, which no split changes.
        """
        for x in xs:
            self.freeze(x, reason)
        call = self.call
        self._opaque.add(id(call.operation))
        if macs != 0:
            self._add_term(macs, 1)
        results = []
        for index, shape in zip(call.outputs, call.shapes, strict=True):
            result = self._frozen_signal(index, shape, call.path, reason)
            self._consumers.extend((call.path, x.blocks) for x in xs)
            results.append(result)
        self._steps.append(
            g.Step(
                "opaque", call.path, call.run, tuple(x.index for x in xs), call.outputs
            )
        )
        return tuple(results)

    def leave_uncounted(self) -> None:
        """What the layer being traced costs is not known."""
        self._uncounted.setdefault(self.call.path)

    # What drives it -----------------------------------------------------------

    def trace(
        self,
        flat: keras_graph.FlatGraph,
        describe: Callable[[Tracer, Any, Sequence[Signal]], Any],
    ) -> None:
        for index, name in zip(flat.inputs, flat.input_names, strict=True):
            self._signals[index] = self._frozen_signal(
                index, flat.shapes[index], name, g.IS_INPUT
            )
        self._temporaries = len(flat.shapes)
        for call in flat.calls:
            self.call = call
            inputs = [self._signals[index] for index in call.inputs]
            results = describe(self, call.operation, inputs)
            self._bind(call, results)
            outputs = [self._signals[index] for index in call.outputs]
            self._touched.setdefault(id(call.operation), []).append((*inputs, *outputs))
        self._freeze_what_is_called_differently(flat)
        for index in flat.outputs:
            for group, _ in _whole(self._signals[index].blocks):
                # This says more than what its last layer may have said.
                group.frozen = g.IS_OUTPUT
        for tensor, index in flat.nested:
            signal = self._signals[index]
            _, first = self._nested.setdefault(id(tensor), (tensor, signal))
            if first.axis == signal.axis:
                self._tie(first.blocks, signal.blocks)
            else:
                for called in (first, signal):
                    self.freeze(called, "a nested model is called along other axes too")

    def _freeze_what_is_called_differently(self, flat: keras_graph.FlatGraph) -> None:
        """Freezes around layers whose calls do not agree on what their weights hold.

        One call may be described and the next be opaque, or read another axis; the
        layer has one set of weights and one config for both.
        """
        for call in flat.calls:
            calls = self._touched[id(call.operation)]
            if len(calls) == 1:
                continue
            # The same input or output over all calls.
            columns = zip(*calls, strict=False)
            axes = [{x.axis for x in column if self._grows(x)} for column in columns]
            if id(call.operation) in self._opaque or any(len(a) > 1 for a in axes):
                for signal in (x for signals in calls for x in signals):
                    self.freeze(
                        signal, f"{call.path!r} is called in ways that do not agree"
                    )

    def _grows(self, signal: Signal) -> bool:
        return any(group.frozen is None for group, _ in _whole(signal.blocks))

    def _bind(self, call: keras_graph.Call, results: Any) -> None:
        results = results if isinstance(results, tuple) else (results,)
        for index, shape, result in zip(
            call.outputs, call.shapes, results, strict=True
        ):
            self._signals[index] = Signal(
                result.index, shape, result.axis, result.blocks
            )
            self._activations.append((call.path, result.axis, result.blocks))

    def resolve(self, flat: keras_graph.FlatGraph, name: str) -> g.ChannelGraph:
        """Turns ties into named spaces and everything recorded into plain data."""
        names = self._name_groups()

        def layout(blocks: _Blocks) -> Layout:
            return tuple(Block(names[group], times) for group, times in _whole(blocks))

        members: dict[str, tuple[dict[str, None], dict[str, None]]] = {
            space: ({}, {}) for space in names.values()
        }
        for column, entries in enumerate((self._producers, self._consumers)):
            for layer, blocks in entries:
                for block in layout(blocks):
                    members[block.space][column].setdefault(layer)
        spaces = tuple(
            g.ChannelSpace(
                name=space,
                width=group.width,
                producers=tuple(members[space][0]),
                consumers=tuple(members[space][1]),
                frozen=group.frozen,
            )
            for group, space in names.items()
        )
        return g.ChannelGraph(
            name=name,
            spaces=spaces,
            terms=tuple(
                g.Term(layer, factor, tuple(layout(b) for b in axes))
                for layer, factor, axes in self._terms
            ),
            weights=tuple(
                g.WeightUse(
                    *self._variables[key],
                    tuple(
                        g.AxisUse(axis, role, layout(blocks))
                        for (axis, role), blocks in axes.items()
                    ),
                )
                for key, axes in self._axes.items()
            ),
            configs=tuple(
                g.ConfigUse(layer, key, index, layout(blocks))
                for (_, key, index), (layer, blocks) in self._configs.items()
            ),
            activations=tuple(
                g.Activation(layer, axis, layout(blocks))
                for layer, axis, blocks in self._activations
            ),
            nested_inputs=tuple(
                g.InputUse(tensor, signal.axis, layout(signal.blocks))
                for tensor, signal in self._nested.values()
            ),
            uncounted=tuple(self._uncounted),
            steps=tuple(self._steps),
            inputs=flat.inputs,
            input_names=flat.input_names,
            outputs=tuple(self._signals[index].index for index in flat.outputs),
        )

    # Inside -------------------------------------------------------------------

    def _new_group(self, width: int, layer: str, frozen: str | None = None) -> _Group:
        group = _Group(width, layer, len(self._groups), frozen=frozen)
        self._groups.append(group)
        return group

    def _frozen_signal(
        self, index: int, shape: tuple[int | None, ...], layer: str, reason: str
    ) -> Signal:
        width = shape[-1] if len(shape) > 1 and shape[-1] is not None else 1
        group = self._new_group(width, layer, reason)
        return Signal(index, tuple(shape), -1, ((group, 1),))

    def _emit(
        self,
        kind: str,
        run: Callable[..., Any],
        xs: Sequence[Signal],
        shape: tuple[int | None, ...],
        axis: int,
        blocks: _Blocks,
    ) -> Signal:
        index = self._temporaries
        self._temporaries += 1
        if self.call.masked:
            run = keras_graph.carrying_mask(run)
        axis = axis if axis < 0 else axis - len(shape)
        numbers = tuple(x.index for x in xs)
        self._steps.append(
            g.Step(kind, self.call.path, run, numbers, (index,), axis=axis)
        )
        return Signal(index, tuple(shape), axis, blocks)

    def _moved(
        self, run: Callable[..., Any], xs: Sequence[Signal], axis: int, blocks: _Blocks
    ) -> Signal:
        """A step that only puts channels elsewhere."""
        result = self._emit("channelwise", run, xs, self.output_shape, axis, blocks)
        self._steps[-1] = replace(self._steps[-1], linear_part=run)
        return result

    def _tie(self, left: _Blocks, right: _Blocks) -> None:
        """Channel i of one is channel i of the other from here on.

        Where one group meets several, it is cut into parts of their widths. Channels
        that one side repeats and the other does not cannot be matched: all freeze.
        """
        while (place := self._first_mismatch(left, right)) is not None:
            (a, repeat), (b, other), rest = place
            if repeat != other:
                reason = (
                    f"{self.call.path!r} ties channels that are laid out differently"
                )
                for group in rest:
                    group.frozen = group.frozen or reason
                return
            narrow, wide = sorted((a, b), key=lambda group: group.width)
            if narrow.width < wide.width:
                self._cut(wide, narrow.width)
            else:
                self._unite(a, b)

    def _first_mismatch(
        self, left: _Blocks, right: _Blocks
    ) -> tuple[tuple[_Group, int], tuple[_Group, int], list[_Group]] | None:
        """The first blocks that are not the same, and all groups from there on."""
        ours, theirs = _whole(left), _whole(right)
        for i, (a, b) in enumerate(zip(ours, theirs, strict=False)):
            if a != b:
                return a, b, [group for group, _ in (*ours[i:], *theirs[i:])]
        return None

    def _cut(self, group: _Group, at: int) -> None:
        """Makes two groups of one, the first `at` channels and the rest."""
        group.parts = tuple(
            self._new_group(width, group.layer, group.frozen)
            for width in (at, group.width - at)
        )

    def _unite(self, a: _Group, b: _Group) -> None:
        first, second = sorted((a.root(), b.root()), key=lambda group: group.order)
        if first is not second:
            second.parent = first
            first.frozen = first.frozen or second.frozen

    def _declare(self, variable: Any, axis: int, role: g.Role, blocks: _Blocks) -> None:
        self._name(variable)
        axis = axis % len(variable.shape)
        axes = self._axes.setdefault(id(variable), {})
        if (axis, role) in axes:
            # A layer called again: both calls read and write the same weight.
            self._tie(axes[(axis, role)], blocks)
        else:
            axes[(axis, role)] = blocks

    def _name(self, variable: Any) -> str:
        known = self._variables.get(id(variable))
        if known is None:
            name = f"{self.call.path}/{variable.name}"
            if name in self._taken:
                name = f"{name}_{len(self._taken)}"
            self._taken.add(name)
            known = self._variables.setdefault(id(variable), (name, variable))
        return known[0]

    def _add_term(self, positions: int | None, window: int, *axes: _Blocks) -> None:
        self._terms.append((self.call.path, product((positions, window)), axes))

    def _name_groups(self) -> dict[_Group, str]:
        names: dict[_Group, str] = {}
        taken: set[str] = set()
        for group in self._groups:
            root = group.root()
            if root in names or root.parts:
                continue
            name, count = root.layer, 1
            while name in taken:
                count += 1
                name = f"{root.layer}:{count}"
            taken.add(name)
            names[root] = name
        return names


def count_positions(shape: tuple[int | None, ...], channel_axis: int) -> int | None:
    """Number of positions per example in a tensor, or None where it is not known."""
    axis = channel_axis % len(shape)
    return product(n for i, n in enumerate(shape) if i not in (0, axis))


def product(lengths: Iterable[int | None]) -> int | None:
    """Product of lengths, or None if one of them is not known."""
    known = tuple(lengths)
    return None if None in known else math.prod(known)
