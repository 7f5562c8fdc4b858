"""The primitives that layers describe themselves with.

Every layer describes itself to a `Tracer` as a sequence of primitives: a linear map
that mixes channels, a channel-wise function, a join, or something opaque. The tracer
ties the channel axes that must keep one width (`ties`) and takes down steps, weights
and cost terms (`record`). `trace_channels`, by which a layer describes itself, is the
whole protocol a layer needs in order to be split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras
from keras import ops

from tf_splitting.tracing import graph as g
from tf_splitting.tracing import keras_graph
from tf_splitting.tracing.inlining import takes_training
from tf_splitting.tracing.record import Record
from tf_splitting.tracing.sizes import count_positions, product
from tf_splitting.tracing.ties import Blocks, freeze, grows, whole


@dataclass(frozen=True)
class Signal:
    """A tensor during tracing: its number, shape, channel axis and channels.

    The examples of a batch lie along the axis `batch`, the first one but behind few
    operations. One that is `alone` is the same for all examples, and has no such axis.
    """

    index: int
    shape: tuple[int | None, ...]
    axis: int
    blocks: Blocks
    alone: bool = False
    batch: int = 0

    @property
    def width(self) -> int:
        """Number of channels."""
        return sum(group.width * repeat for group, repeat in self.blocks)


class Tracer:
    """What a layer's `trace_channels(tracer, *inputs)` describes the layer with.

    Every primitive takes and returns `Signal`s. Anything a layer does not declare is
    carried over unchanged when the model is rebuilt.

    Attributes:
        call: the call that is being described.
    """

    call: keras_graph.Call

    def __init__(
        self,
        *,
        tensors: int = 0,
        split_untrainable: bool = False,
        choices: Mapping[str, int] | None = None,
    ) -> None:
        self._split_untrainable = split_untrainable
        self._choices = choices or {}
        self._chosen: dict[str, tuple[Blocks, int]] = {}
        self._temporaries = tensors
        self._record = Record()
        self._opaque: set[int] = set()
        # Steps of the sequence that a layer is called on one by one, while it is.
        self._sequence: tuple[int | None, ...] = ()

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
        group = self._record.ties.new_group(kernel.shape[out_axis], self.call.path)
        result = self._emit("linear", run, (x,), shape, channel_axis, ((group, 1),))
        along = [1] * len(kernel.shape)
        along[out_axis] = -1
        self._amend(
            kernel=self._record.name(kernel, self.call.path),
            scaled=lambda factor: (
                lambda x, kernel: run(x, kernel * ops.reshape(factor, along))
            ),
        )
        axes, window = [result.blocks], math.prod(kernel.shape)
        if in_axis is not None:
            self._declare(kernel, in_axis, "consumed", x)
            self._record.consumers.append((self.call.path, x.blocks))
            axes.insert(0, x.blocks)
            window //= kernel.shape[in_axis]
        self._declare(kernel, out_axis, "produced", result)
        self._record.producers.append((self.call.path, result.blocks))
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
                self._record.ties.tie(widest.blocks, other.blocks, self.call.path)
        if channel_axis is None:
            channel_axis = xs[0].axis
        blocks = tuple((group, r * repeat) for group, r in widest.blocks)
        shape = shape or self.output_shape
        inputs = (*xs, *sides)
        result = self._emit("channelwise", run, inputs, shape, channel_axis, blocks)
        self._amend(
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
        place = axis + len(x.shape)
        if grows(x.blocks) or place < 0 or place == x.batch:
            return None
        length = x.shape[axis]
        width = 1 if length is None else length
        frozen, _ = whole(x.blocks)[0]
        group = self._record.ties.new_group(width, frozen.layer, frozen.frozen)
        return replace(x, axis=axis, blocks=((group, 1),))

    def join(self, run: Callable[..., Any], *xs: Signal) -> Signal:
        """Channels of several tensors end to end, not tied."""
        blocks = tuple(block for x in xs for block in x.blocks)
        return self._moved(run, xs, xs[0].axis, blocks)

    def surround(
        self, run: Callable[..., Any], x: Signal, before: int, behind: int
    ) -> Signal:
        """Channels that are zero in front of those of `x`, and behind them."""
        reason = f"{self.call.path!r} pads channels with zeros"
        first, last = (
            ((self._record.ties.new_group(n, self.call.path, reason), 1),) if n else ()
            for n in (before, behind)
        )
        return self._moved(run, (x,), x.axis, (*first, *x.blocks, *last))

    def tile(
        self, run: Callable[..., Any], x: Signal, times: int, channel_axis: int = -1
    ) -> Signal:
        """The channels `times` in a row on an axis, as Flatten does on the last."""
        return self._moved(run, (x,), channel_axis, x.blocks * times)

    def alike(self, x: Signal, count: int) -> Signal:
        """The same tensor, whose channels are so many equal parts end to end.

        Channel i of a part is one with channel i of all others from here on.
        """
        first, _ = whole(x.blocks)[0]
        width = x.width // count
        group = self._record.ties.new_group(width, first.layer, made=first.made)
        self._record.ties.tie(x.blocks, ((group, 1),) * count, self.call.path)
        return replace(x, blocks=((group, 1),))

    def cut(self, x: Signal, widths: Sequence[int]) -> tuple[Signal, ...]:
        """The same tensor, seen as each of the parts that its channels consist of.

        Args:
            x: the tensor.
            widths: of the parts, end to end.
        """
        first, _ = whole(x.blocks)[0]
        groups = [
            (self._record.ties.new_group(width, first.layer, made=first.made), 1)
            for width in widths
        ]
        self._record.ties.tie(x.blocks, tuple(groups), self.call.path)
        return tuple(replace(x, blocks=(group,)) for group in groups)

    def unfold(
        self,
        run: Callable[..., Any],
        x: Signal,
        heads: int,
        channel_axis: int,
        count: int = 1,
    ) -> Signal:
        """Channels unfolded to several axes: heads, and those in each, or a part of it.

        A head is a channel from here on, and so are the channels of `x` that make it:
        those in it, of each of so many equal parts.

        Args:
            run: the function.
            x: what it unfolds.
            heads: how many there are in each part.
            channel_axis: theirs, in the result.
            count: of parts, such as queries, keys and values.
        """
        if count > 1:
            x = self.alike(x, count)
        if x.width > heads:
            x = self.bundle(x, heads)
        return self._moved(run, (x,), channel_axis, x.blocks)

    def bundle(self, x: Signal, count: int) -> Signal:
        """The same tensor, its channels taken as so many bundles of neighbours.

        A bundle is a channel from here on: the channels of `x` that make it are split
        and removed together.
        """
        first, _ = whole(x.blocks)[0]
        group = self._record.ties.new_group(count, self.call.path, made=first.made)
        each = x.width // count
        self._record.ties.tie(x.blocks, ((group, each),), self.call.path)
        return replace(x, blocks=((group, 1),))

    def carry(
        self,
        variable: Any,
        axis: int,
        signal: Signal,
        *,
        kind: Literal["kernel", "scale"] = "scale",
        initial: float | Callable[[tuple[int, ...]], Any] | None = None,
    ) -> None:
        """Axis `axis` of a weight holds one slice for each channel of `signal`.

        Args:
            variable: the weight.
            axis: of its.
            signal: the channels.
            kind: "kernel" if it is one that a new neuron may get at random, such as
                a depthwise kernel; "scale" if it multiplies or shifts a channel.
            initial: what a scale starts at: a number, or an initializer that is
                called with a shape. Without, new neurons copy it.
        """
        carried = g.Carried(kind, initial)
        self._declare(variable, axis, "carried", signal, carried)

    def constant(self, array: Any, axis: int, signal: Signal) -> None:
        """Axis `axis` of an array that the call is given has a slice for each channel.

        New neurons copy it.

        Args:
            array: one of `call.extras`, no variable.
            axis: of its, from the end.
            signal: the channels.
        """
        self._record.hold(self.call.operation, array, axis, signal.blocks)

    def widened(
        self, run: Callable[..., Any], x: Signal, array: Any, axis: int
    ) -> Signal:
        """Channels that `x` has not, of which an array has a number for each.

        Args:
            run: a function of `x`, whose length along the axis is 1.
            x: frozen.
            array: one of `call.extras`.
            axis: of the channels, from the end.
        """
        width = array.shape[axis]
        group = self._record.ties.new_group(width, self.call.path, made=False)
        z = self._emit("channelwise", run, (x,), self.output_shape, axis, ((group, 1),))
        self.constant(array, axis, z)
        return z

    @contextmanager
    def step_by_step(self, layer: Any, x: Signal) -> Iterator[Signal]:
        """A layer describes itself that the call applies to every step of a sequence.

        Args:
            layer: whose call it is meanwhile.
            x: what the outer layer reads; its axis 1 holds the steps.

        Yields:
            What the inner layer reads; what it returns lacks the axis of the steps too.
        """
        call = self.call
        self.call = replace(
            call,
            operation=layer,
            path=f"{call.path}/{layer.name}",
            shapes=tuple((shape[0], *shape[2:]) for shape in call.shapes),
            run=lambda x: (
                layer(x, training=False) if takes_training(layer) else layer(x)
            ),
        )
        self._sequence = x.shape[1:2]
        try:
            yield replace(x, shape=(x.shape[0], *x.shape[2:]))
        finally:
            self.call, self._sequence = call, ()

    def choose(self, *options: Callable[[], Signal]) -> Signal:
        """What the call yields, where several of its axes could hold the channels.

        Of heads and what is in each, heads are the channels, unless they cannot grow.

        Args:
            options: ways to see it, the likely one first.
        """
        signal = options[self._choices.get(self.call.path, 0)]()
        self._chosen[self.call.path] = signal.blocks, len(options)
        return signal

    @property
    def frozen_choices(self) -> dict[str, int]:
        """Calls where those channels froze that were chosen, and among how many."""
        return {
            path: count
            for path, (blocks, count) in self._chosen.items()
            if not grows(blocks)
        }

    def number(self) -> Signal:
        """A number that is made of nothing: it has no channels."""
        return self._made_alone((), ())

    def looked_up(self, variable: Any, x: Signal) -> Signal:
        """Numbers in a row of a table, whose config says how many they are.

        Those along the last axis of what they are reshaped to belong to the channels
        of what they meet.

        Args:
            variable: the table.
            x: the number of the row.
        """
        width = variable.shape[-1]
        group = self._record.ties.new_group(width, self.call.path, made=False)
        times = math.prod(variable.shape[:-1])
        signal = self._made_alone((x,), ((group, 1),) * times)
        self.carry(variable, -1, replace(signal, blocks=((group, 1),)))
        self.config("output_dim", signal)
        return signal

    def value_alone(self, x: Signal) -> Any:
        """The numbers of a tensor that is the same for all examples."""
        made = {index: step for step in self._record.steps for index in step.outputs}

        def value(index: int) -> Any:
            step = made[index]
            found = step.run(*map(value, step.inputs))
            return keras.tree.flatten(found)[step.outputs.index(index)]

        return value(x.index)

    def moved_alone(
        self, x: Signal, *others: Signal, times: int, channel_axis: int
    ) -> Signal:
        """The numbers of `x` elsewhere, its channels so many times in a row.

        Args:
            x: the numbers.
            others: what else the call reads.
            times: how often each channel is there.
            channel_axis: of the result.
        """
        blocks = x.blocks[:1] * times
        return self._made_alone((x, *others), blocks, channel_axis)

    def _made_alone(
        self, xs: Sequence[Signal], blocks: Blocks, channel_axis: int = -1
    ) -> Signal:
        """What the call yields, which has nothing to do with any example."""
        (index,), (shape,) = self.call.outputs, self.call.shapes
        self._take_down(self.call.run, *xs)
        return Signal(index, shape, channel_axis, blocks, alone=True)

    def config(self, key: str, signal: Signal, index: int | None = None) -> None:
        """Entry `key` (its item `index`) of the config is the width of `signal`."""
        call = self.call
        self._record.configure(call.operation, key, index, signal.blocks, call.path)

    def freeze(self, signal: Signal, reason: str) -> None:
        """The channels of `signal` must keep their number."""
        freeze(signal.blocks, reason)

    def opaque(
        self, reason: str, *xs: Signal, macs: int | None = 0
    ) -> tuple[Signal, ...]:
        """The whole call is something nobody has described: freezes all it touches.

        Args:
            reason: why, in words.
            xs: all inputs of the call.
            macs: multiply-accumulates per example, which no split changes.
        """
        self._opaque.add(id(self.call.operation))
        return self.mixing(self.call.run, reason, *xs, macs=macs)

    def mixing(
        self, run: Callable[..., Any], reason: str, *xs: Signal, macs: int | None = 0
    ) -> tuple[Signal, ...]:
        """The rest of a call, where it mixes channels: freezes all it touches.

        Args:
            run: `run(*tensors)`, in inference mode; it returns what the call does.
            reason: why, in words.
            xs: its inputs.
            macs: multiply-accumulates per example, which no split changes.
        """
        for x in xs:
            self.freeze(x, reason)
        call = self.call
        if macs != 0:
            self._add_term(macs, 1)
        results = []
        for index, shape in zip(call.outputs, call.shapes, strict=True):
            result = self._frozen_signal(
                index, shape, call.path, reason, alone=call.alone
            )
            self._record.consumers.extend((call.path, x.blocks) for x in xs)
            results.append(result)
        if self._sequence:
            run = step_by_step(run, len(xs))
        self._take_down(run, *xs)
        return tuple(results)

    def _take_down(self, run: Callable[..., Any], *xs: Signal) -> None:
        """The call is a step of which nothing more is known than what it reads."""
        numbers, call = tuple(x.index for x in xs), self.call
        self._record.steps.append(
            g.Step("opaque", call.path, run, numbers, call.outputs)
        )

    def counted(self, x: Signal) -> Signal:
        """A number of each example, which says no more than how many there are."""
        (index,), (shape,) = self.call.outputs, self.call.shapes
        self._take_down(self.call.run, x)
        return self._frozen_signal(index, shape, self.call.path, "it has no channels")

    def leave_uncounted(self) -> None:
        """What the layer being traced costs is not known."""
        self._record.uncounted.setdefault(self.call.path)

    def _frozen_signal(
        self,
        index: int,
        shape: tuple[int | None, ...],
        layer: str,
        reason: str,
        *,
        alone: bool = False,
    ) -> Signal:
        # The first axis is that of the batch, if there is one.
        sizes = shape if alone else shape[1:]
        width = sizes[-1] if sizes and sizes[-1] is not None else 1
        group = self._record.ties.new_group(width, layer, reason)
        return Signal(index, tuple(shape), -1, ((group, 1),), alone)

    def _emit(
        self,
        kind: Literal["linear", "channelwise"],
        run: Callable[..., Any],
        xs: Sequence[Signal],
        shape: tuple[int | None, ...],
        axis: int,
        blocks: Blocks,
    ) -> Signal:
        index = self._temporaries
        self._temporaries += 1
        if self._sequence:
            run = step_by_step(run, len(xs))
        if self.call.masked:
            run = keras_graph.carrying_mask(run)
        axis = axis if axis < 0 else axis - len(shape)
        numbers = tuple(x.index for x in xs)
        self._record.steps.append(
            g.Step(kind, self.call.path, run, numbers, (index,), axis=axis)
        )
        return Signal(index, tuple(shape), axis, blocks, batch=xs[0].batch)

    def _moved(
        self, run: Callable[..., Any], xs: Sequence[Signal], axis: int, blocks: Blocks
    ) -> Signal:
        """A step that only puts channels elsewhere."""
        result = self._emit("channelwise", run, xs, self.output_shape, axis, blocks)
        self._amend(linear_part=run)
        return result

    def _amend(self, **parts: Any) -> None:
        """Says more of the last step."""
        step = self._record.steps[-1]
        if self._sequence:
            parts = _parts_step_by_step(parts, len(step.inputs))
        self._record.steps[-1] = replace(step, **parts)

    def _declare(
        self,
        variable: Any,
        axis: int,
        role: g.Role,
        signal: Signal,
        carried: g.Carried | None = None,
    ) -> None:
        path = self.call.path
        self._record.declare(variable, axis, role, signal.blocks, path, carried)

    def _add_term(self, positions: int | None, window: int, *axes: Blocks) -> None:
        factor = product((self.call.rows, *self._sequence, positions, window))
        term = (self.call.path, factor, axes)
        self._record.terms.append(term)


def step_by_step(run: Callable[..., Any], count: int) -> Callable[..., Any]:
    """`run` on every step of its first `count` tensors, `[batch, steps, ...]`."""

    def at_every_step(*tensors: Any) -> Any:
        size, steps = ops.shape(tensors[0])[:2]
        merged = [
            ops.reshape(x, (size * steps, *ops.shape(x)[2:])) for x in tensors[:count]
        ]
        y = run(*merged, *tensors[count:])
        return ops.reshape(y, (size, steps, *ops.shape(y)[1:]))

    return at_every_step


def _parts_step_by_step(parts: dict[str, Any], count: int) -> dict[str, Any]:
    """What a step says of itself, for every step of a sequence.

    What acts on every element, or is broadcast from the last axis on, stays as it is.
    """
    found = dict(parts)
    linear_part, scaled = parts.get("linear_part"), parts.get("scaled")
    if linear_part is not None:
        found["linear_part"] = step_by_step(linear_part, count)
    if scaled is not None:
        found["scaled"] = lambda factor: step_by_step(scaled(factor), count)
    return found
