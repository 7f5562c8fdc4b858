"""Which layer types describe their channels, and how.

A layer describes itself in one of two ways: by a method
`trace_channels(tracer, *signals)` of its own, or by a rule registered here for its
exact type. Exact, because a subclass may compute something else. Whatever has neither
is opaque: it freezes the spaces it touches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tf_splitting.tracer import Signal, Tracer

Rule = Callable[..., Signal | tuple[Signal, ...]]

_RULES: dict[type, Rule] = {}


def register(*types: type) -> Callable[[Rule], Rule]:
    """Registers `rule(tracer, layer, *signals)` for these exact layer types."""

    def decorate(rule: Rule) -> Rule:
        for kind in types:
            _RULES[kind] = rule
        return rule

    return decorate


def rule_for(kind: type) -> Rule | None:
    """The rule registered for exactly this type, if any."""
    return _RULES.get(kind)


def describe(
    tracer: Tracer, operation: Any, inputs: Sequence[Signal]
) -> Signal | tuple[Signal, ...]:
    """Lets an operation describe its call to the tracer."""
    if not tracer.call.plain:
        return tracer.opaque(
            f"{tracer.call.path!r} is called with further arguments", *inputs
        )
    if hasattr(operation, "trace_channels"):
        return operation.trace_channels(tracer, *inputs)
    rule = rule_for(type(operation))
    if rule is None:
        if getattr(operation, "weights", None):
            tracer.leave_uncounted()
        return tracer.opaque(
            f"nothing is known about {tracer.call.path!r} of type "
            f"{type(operation).__name__}",
            *inputs,
        )
    return rule(tracer, operation, *inputs)
