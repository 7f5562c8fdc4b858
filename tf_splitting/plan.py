"""Which neurons to split: plain data between selection and rebuilding."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tf_splitting.errors import PlanError
from tf_splitting.files import write_text_atomically
from tf_splitting.graph import ChannelGraph

_FORMAT = 1


@dataclass
class SplitPlan:
    """Neurons to split, by channel space.

    An index named once is split into two copies, named k times into k + 1. Copies are
    appended behind the space's neurons in the order of the list, so that existing
    neurons keep their index.

    Attributes:
        splits: space name to neuron indices, each in `[0, width)`.

    Raises:
        PlanError: an index is no integer or negative.

    Example:
        >>> plan = SplitPlan({"conv1": [0, 3], "conv_pw_1": [5, 5]})
        >>> plan.save("plan.json")
        >>> SplitPlan.load("plan.json") == plan
        True
    """

    splits: dict[str, list[int]] = field(default_factory=dict)

    def __init__(self, splits: Mapping[str, Iterable[int]] | None = None) -> None:
        if not isinstance(splits or {}, Mapping):
            raise PlanError(
                f"Got splits={splits!r}; expected a mapping from space names to lists "
                'of neuron indices, such as {"conv1": [0, 3]}.'
            )
        self.splits = {
            str(space): [_as_index(space, i) for i in indices]
            for space, indices in (splits or {}).items()
        }

    def __len__(self) -> int:
        """Number of neurons that are added."""
        return sum(len(indices) for indices in self.splits.values())

    def __str__(self) -> str:
        lines = [f"SplitPlan: {len(self)} new neurons"]
        lines += [
            f"  {space}: +{len(indices)} {indices}"
            for space, indices in self.splits.items()
            if indices
        ]
        return "\n".join(lines)

    def widths(self, graph: ChannelGraph) -> dict[str, int]:
        """Width of every space of the graph once the plan is applied."""
        return {
            space.name: space.width + len(self.splits.get(space.name, ()))
            for space in graph.spaces
        }

    def check(self, graph: ChannelGraph) -> None:
        """Raises unless the plan fits the traced model.

        Raises:
            PlanError: a space does not exist or is frozen, an index is out of range.
        """
        for name, indices in self.splits.items():
            space = graph.space(name)
            if not indices:
                continue
            if space.frozen is not None:
                raise PlanError(
                    f"The plan splits space {name!r}, which is frozen because "
                    f"{space.frozen}. Remove it from the plan."
                )
            if max(indices) >= space.width:
                raise PlanError(
                    f"The plan splits neuron {max(indices)} of space {name!r}, which "
                    f"has {space.width} neurons, numbered from 0. Was the plan made "
                    "for another model?"
                )

    def to_json(self) -> str:
        """The plan as JSON text."""
        return json.dumps({"format": _FORMAT, "splits": self.splits}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> SplitPlan:
        """Reads what `to_json` wrote.

        Raises:
            PlanError: the text is not a plan.
        """
        try:
            data: Any = json.loads(text)
        except json.JSONDecodeError as error:
            raise PlanError(f"A split plan is JSON text, but {error}.") from error
        if not isinstance(data, dict) or data.get("format") != _FORMAT:
            raise PlanError(
                'Expected a JSON object with "format": 1 and "splits"; got '
                f"{text[:80]!r}."
            )
        return cls(data.get("splits"))

    def save(self, path: str | Path) -> None:
        """Writes the plan as JSON; the file appears whole or not at all."""
        write_text_atomically(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> SplitPlan:
        """Reads a plan from a JSON file.

        Raises:
            PlanError: the file does not hold a plan.
            OSError: it cannot be read.
        """
        return cls.from_json(Path(path).read_text())


def _as_index(space: Any, value: Any) -> int:
    try:
        index = operator.index(value)
    except TypeError:
        index = -1
    if index < 0:
        raise PlanError(
            f"Got neuron index {value!r} for space {space!r}; expected an integer of "
            "at least 0."
        )
    return index
