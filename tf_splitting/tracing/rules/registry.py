"""Which layer and operation types describe their channels, and how.

A layer describes itself in one of two ways: by a method
`trace_channels(tracer, *signals)` of its own, or by a rule registered here for its
exact type. Exact, because a subclass may compute something else; one that adds nothing
does not. Whatever has neither is opaque: it freezes the spaces it touches.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tf_splitting.tracing.rules.alone import describe_alone, met
from tf_splitting.tracing.rules.regularizers import freeze_regularized
from tf_splitting.tracing.tracer import Signal, Tracer

Rule = Callable[..., Signal | tuple[Signal, ...]]
# From a layer and the changes of the configs of those in it, by `id`, to its own.
Resize = Callable[[Any, Mapping[int, Mapping[str, Any]]], dict[str, Any]]

_RULES: dict[type, Rule] = {}
_ANY_ARGUMENTS: set[type] = set()
_MASK: set[type] = set()
_OPENS: set[type] = set()
_POINTWISE: set[type] = set()
_ALONE: set[type] = set()
_MOVED_BATCH: set[type] = set()
_RESIZES: dict[type, Resize] = {}
_RECOGNIZED: list[Callable[..., Signal | None]] = []


def register(
    *types: type,
    any_arguments: bool = False,
    mask: bool = False,
    opens: bool = False,
    pointwise: bool = False,
    alone: bool = False,
    moved_batch: bool = False,
) -> Callable[[Rule], Rule]:
    """Registers `rule(tracer, operation, *signals)` for these exact types.

    Args:
        types: classes of layers or of `keras.ops` operations.
        any_arguments: the rule also knows what to do about calls with arguments
            besides tensors (`tracer.call.extras`) or with tensors passed by name.
        mask: the rule takes a mask, passed by name, as a further signal.
        opens: the layer is looked into, and the rule is for where that cannot be done.
        pointwise: the operation acts on every element alone.
        alone: the rule also takes frozen tensors that have no axis of the batch.
        moved_batch: the rule also takes tensors whose first axis is not the batch's.
    """

    def decorate(rule: Rule) -> Rule:
        for kind in types:
            _RULES[kind] = rule
            if any_arguments:
                _ANY_ARGUMENTS.add(kind)
            if mask:
                _MASK.add(kind)
            if opens:
                _OPENS.add(kind)
            if pointwise:
                _POINTWISE.add(kind)
            if alone:
                _ALONE.add(kind)
            if moved_batch:
                _MOVED_BATCH.add(kind)
        return rule

    return decorate


def recognizes(rule: Callable[..., Signal | None]) -> Callable[..., Signal | None]:
    """Registers a rule for operations of types that have none.

    It returns None for those that it knows nothing of.
    """
    _RECOGNIZED.append(rule)
    return rule


def resizes(*types: type) -> Callable[[Resize], Resize]:
    """Registers how the config of a layer made of layers says how wide these are.

    Others become models of what is in them where that gets wider.
    """

    def decorate(resize: Resize) -> Resize:
        _RESIZES.update(dict.fromkeys(types, resize))
        return resize

    return decorate


def resize_for(kind: type) -> Resize | None:
    """How layers of exactly this type say the widths in them, if they do."""
    return _RESIZES.get(_same_code(kind))


def is_pointwise(kind: type) -> bool:
    """Whether operations of exactly this type act on every element alone."""
    return kind in _POINTWISE


def rule_for(kind: type) -> Rule | None:
    """The rule registered for exactly this type, if any."""
    return _RULES.get(_same_code(kind))


def is_known(operation: Any) -> bool:
    """Whether a layer or operation describes itself, or has a rule that does."""
    kind = _same_code(type(operation))
    return hasattr(operation, "trace_channels") or kind in _RULES.keys() - _OPENS


def describe(
    tracer: Tracer, operation: Any, inputs: Sequence[Signal]
) -> Signal | tuple[Signal, ...]:
    """Lets an operation describe its call to the tracer."""
    if tracer.call.counted:
        return tracer.counted(*inputs)
    pointwise = is_pointwise(type(operation)) and inputs
    if tracer.call.alone and not pointwise:
        return describe_alone(tracer, operation, inputs)
    if any(x.alone for x in inputs):
        reason = f"{tracer.call.path!r} reads what is the same for all examples"
        if pointwise:
            inputs = met(tracer, inputs)
        elif type(operation) in _ALONE:
            for x in inputs:
                tracer.freeze(x, reason)
        else:
            closed = tracer.call.closed
            reason += "" if closed is None else f"; it {closed}"
            return tracer.opaque(reason, *inputs)
    if any(x.batch for x in inputs):
        together = len({x.batch - len(x.shape) for x in inputs}) == 1
        if not (together if pointwise else type(operation) in _MOVED_BATCH):
            reason = f"{tracer.call.path!r} reads tensors whose first axis is another"
            return tracer.opaque(f"{reason} than that of the batch", *inputs)
    rule = _rule(operation)
    path, closed, kind = tracer.call.path, tracer.call.closed, type(operation)
    same = _same_code(kind)
    masked = same in _MASK and not tracer.call.extras
    if rule is None:
        recognized = _recognized(tracer, operation, inputs)
        if recognized is not None:
            return recognized
        reason = f"nothing is known about {path!r} of type {kind.__name__}"
        reason += "" if closed is None else f", which {closed}"
    elif not (tracer.call.plain or masked or same in _ANY_ARGUMENTS):
        reason = f"{path!r} is called with further arguments"
    else:
        results = rule(tracer, operation, *inputs)
        outputs = results if isinstance(results, tuple) else (results,)
        freeze_regularized(tracer, operation, inputs, outputs)
        return results
    if getattr(operation, "weights", None):
        tracer.leave_uncounted()
    return tracer.opaque(reason, *inputs)


def _same_code(kind: type) -> type:
    """The class itself, or that of which it is another name."""
    while kind not in _RULES and len(kind.__bases__) == 1:
        # KerasHub notes on classes where it exports them.
        if any(
            not (name.startswith("__") or name.startswith("_api_export"))
            or inspect.isfunction(value)
            for name, value in vars(kind).items()
        ):
            break
        kind = kind.__bases__[0]
    return kind


def _rule(operation: Any) -> Rule | None:
    """What describes an operation: itself, or what is registered for it."""
    if hasattr(operation, "trace_channels"):
        return lambda tracer, operation, *xs: operation.trace_channels(tracer, *xs)
    return rule_for(type(operation))


def _recognized(
    tracer: Tracer, operation: Any, inputs: Sequence[Signal]
) -> Signal | None:
    """What a layer of a type without a rule does, if that shows from its code."""
    if not tracer.call.plain:
        return None
    found = (rule(tracer, operation, *inputs) for rule in _RECOGNIZED)
    return next((result for result in found if result is not None), None)
