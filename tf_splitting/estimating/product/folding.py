"""Folds a normalization into the kernel in front of it.

In inference mode batch normalization multiplies every channel by a factor and adds a
shift. Where it follows a convolution whose result nothing else reads, the factor can
go into the convolution's kernel: estimates then spare several passes over the
activations for each such pair.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from tf_splitting.tracing import Step

Factor = Callable[[], Any]


def folded(steps: tuple[Step, ...], outputs: Collection[int]) -> tuple[Step, ...]:
    """The same computation with scalings folded into kernels where they can be.

    Args:
        steps: of a graph; steps keep their places and tensors their numbers, but the
            tensor between a kernel and its scaling has other values.
        outputs: numbers of the tensors that are outputs of the model.
    """
    readers = Counter(i for step in steps for i in step.inputs)
    readers.update(outputs)
    makers = {i: place for place, step in enumerate(steps) for i in step.outputs}
    result = list(steps)

    def absorb(tensor: int, factor: Factor) -> bool:
        """Multiplies a tensor at no cost, if that can be done."""
        place = makers.get(tensor)
        if place is None or readers[tensor] > 1:
            return False
        step = result[place]
        scaled, shift = step.scaled, step.shift
        if scaled is not None:
            result[place] = _scaled(step, scaled, factor)
        elif shift is not None and absorb(step.inputs[0], factor):
            result[place] = _shift(step, lambda: shift() * factor())
        else:
            return False
        return True

    for place, step in enumerate(steps):
        factor, shift = step.factor, step.shift
        if factor is None or shift is None:
            continue
        if absorb(step.inputs[0], factor):
            result[place] = _shift(step, shift)
    return tuple(result)


def _scaled(step: Step, scaled: Callable[[Any], Any], factor: Factor) -> Step:
    def run(*arguments: Any) -> Any:
        return scaled(factor())(*arguments)

    return replace(step, run=run, linear_part=None if step.linear_part is None else run)


def _shift(step: Step, shift: Factor) -> Step:
    def run(x: Any, *sides: Any) -> Any:
        return x + shift()

    return replace(step, run=run, linear_part=lambda change, *sides: change)
