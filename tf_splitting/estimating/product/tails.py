"""Tails: what moves when neurons do, up to the next steps that mix channels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from tf_splitting.tracing import Step


@dataclass(frozen=True)
class Tails:
    """All tails of a model, by number of the step.

    Attributes:
        starts: linear steps that produce neurons.
        steps: channel-wise steps on the way.
        curved: those of them that apply an activation.
        bent: those of them that are not affine, activations among them.
        mixed: affine ones of which some inputs do not move.
        readers: linear steps at the end.
        ends: those of them whose kernels may move too.
        moving: numbers of the tensors that move.
    """

    starts: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    curved: list[int] = field(default_factory=list)
    bent: list[int] = field(default_factory=list)
    mixed: list[int] = field(default_factory=list)
    readers: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    moving: set[int] = field(default_factory=set)


def find_tails(
    steps: tuple[Step, ...], incoming: Collection[str], outgoing: Collection[str]
) -> Tails:
    """Follows neurons from the kernels that produce them.

    Args:
        steps: of a graph.
        incoming: kernels whose neurons may move by their incoming weights.
        outgoing: kernels of which outgoing weights may move.
    """
    tails = Tails()
    for index, step in enumerate(steps):
        reached = any(i in tails.moving for i in step.inputs)
        if step.kind == "linear":
            if reached:
                tails.readers.append(index)
                if step.kernel in outgoing:
                    tails.ends.append(index)
            if step.kernel in incoming:
                tails.starts.append(index)
                tails.moving.update(step.outputs)
        elif step.kind == "channelwise" and reached:
            tails.steps.append(index)
            if step.activation is not None:
                tails.curved.append(index)
            if step.linear_part is None:
                tails.bent.append(index)
            elif not tails.moving.issuperset(step.inputs):
                tails.mixed.append(index)
            tails.moving.update(step.outputs)
    return tails
