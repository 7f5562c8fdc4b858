"""Follows a model's calls in order and lets each describe itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tf_splitting.tracing import graph as g
from tf_splitting.tracing.keras_graph import Call, FlatGraph
from tf_splitting.tracing.ties import freeze, grows, whole
from tf_splitting.tracing.tracer import Signal, Tracer

Describe = Callable[[Tracer, Any, Sequence[Signal]], Any]


class ModelTracer(Tracer):
    """A tracer that goes through a whole model.

    Args:
        flat: the model's calls.
        split_untrainable: as `trace` takes it.
        choices: of calls that make several axes, which is to hold the channels.
    """

    def __init__(
        self,
        flat: FlatGraph,
        *,
        split_untrainable: bool,
        choices: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(
            tensors=len(flat.shapes),
            split_untrainable=split_untrainable,
            choices=choices,
        )
        self._flat = flat
        self._signals: dict[int, Signal] = {
            index: self._frozen_signal(index, flat.shapes[index], name, g.IS_INPUT)
            for index, name in zip(flat.inputs, flat.input_names, strict=True)
        }
        # What each operation has been called with, call by call.
        self._touched: dict[int, list[tuple[Signal, ...]]] = {}

    def follow(self, describe: Describe, name: str) -> g.ChannelGraph:
        """Lets `describe(tracer, operation, inputs)` describe every call.

        Args:
            describe: returns the outputs of the call.
            name: of the model.
        """
        self._go_through(describe)
        self._freeze_what_is_called_differently()
        self._freeze_outputs()
        self._tie_inputs_of_nested_models()
        outputs = tuple(self._signals[index].index for index in self._flat.outputs)
        return self._record.resolve(self._flat, outputs, name)

    def _go_through(self, describe: Describe) -> None:
        for call in self._flat.calls:
            self.call = call
            inputs = [self._signals[index] for index in call.inputs]
            self._bind(call, describe(self, call.operation, inputs))
            results = [self._signals[index] for index in call.outputs]
            touched = self._touched.setdefault(id(call.operation), [])
            touched.append((*inputs, *results))

    def _bind(self, call: Call, results: Any) -> None:
        results = results if isinstance(results, tuple) else (results,)
        for index, shape, result in zip(
            call.outputs, call.shapes, results, strict=True
        ):
            self._signals[index] = replace(result, shape=shape, alone=call.alone)
            self._record.activations.append((call.path, result.axis, result.blocks))

    def _freeze_what_is_called_differently(self) -> None:
        """Freezes around layers whose calls do not agree on what their weights hold.

        One call may be described and the next be opaque, or read another axis; the
        layer has one set of weights and one config for both.
        """
        for call in self._flat.calls:
            calls = self._touched[id(call.operation)]
            if len(calls) == 1:
                continue
            # The same input or output over all calls.
            columns = zip(*calls, strict=False)
            axes = [{x.axis for x in column if grows(x.blocks)} for column in columns]
            if id(call.operation) in self._opaque or any(len(a) > 1 for a in axes):
                reason = f"{call.path!r} is called in ways that do not agree"
                for signal in (x for signals in calls for x in signals):
                    freeze(signal.blocks, reason)

    def _freeze_outputs(self) -> None:
        for index in self._flat.outputs:
            for group, _ in whole(self._signals[index].blocks):
                # This says more than what its last layer may have said.
                group.frozen = g.IS_OUTPUT

    def _tie_inputs_of_nested_models(self) -> None:
        for tensor, index in self._flat.nested:
            signal = self._signals[index]
            _, axis, blocks = self._record.nested.setdefault(
                id(tensor), (tensor, signal.axis, signal.blocks)
            )
            if axis == signal.axis:
                self._record.ties.tie(blocks, signal.blocks, self.call.path)
            else:
                for called in (blocks, signal.blocks):
                    freeze(called, "a nested model is called along other axes too")
