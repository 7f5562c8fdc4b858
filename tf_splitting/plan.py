"""Which neurons to split: plain data between selection and rebuilding."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tf_splitting.errors import PlanError
from tf_splitting.files import write_text_atomically
from tf_splitting.graph import ChannelGraph

_FORMAT = 1


@dataclass(frozen=True)
class Directions:
    """Directions to split one space's neurons along, in relative units.

    Attributes:
        incoming: producer kernel name to an array of the kernel's shape, its output
            axis restricted to the space.
        outgoing: consumer kernel name likewise, its input axis restricted.
    """

    incoming: Mapping[str, np.ndarray]
    outgoing: Mapping[str, np.ndarray]


@dataclass
class SplitPlan:
    """Neurons to split, by channel space.

    An index named once is split into two copies, named k times into k + 1. Copies are
    appended behind the space's neurons in the order of the list, so that existing
    neurons keep their index.

    Attributes:
        splits: space name to neuron indices, each in `[0, width)`.
        directions: space name to the directions to split along; usually empty, the
            scores hold them. `with_directions` makes a plan that can be applied
            without its scores.

    Raises:
        PlanError: an index is no integer or negative.

    Example:
        >>> plan = SplitPlan({"conv1": [0, 3], "conv_pw_1": [5, 5]})
        >>> plan.save("plan.json")
        >>> SplitPlan.load("plan.json") == plan
        True
    """

    splits: dict[str, list[int]]
    directions: dict[str, Directions] = field(compare=False, repr=False)

    def __init__(
        self,
        splits: Mapping[str, Iterable[int]] | None = None,
        directions: Mapping[str, Directions] | None = None,
    ) -> None:
        if not isinstance(splits or {}, Mapping):
            raise PlanError(
                f"Got splits={splits!r}; expected a mapping from space names to lists "
                'of neuron indices, such as {"conv1": [0, 3]}.'
            )
        self.splits = {
            str(space): [_as_index(space, i) for i in indices]
            for space, indices in (splits or {}).items()
        }
        self.directions = dict(directions or {})

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

    def with_directions(self, scores: Mapping[str, Any]) -> SplitPlan:
        """The plan together with the directions that the scores hold for its spaces.

        Args:
            scores: `SplittingScores` from `estimate`.
        """
        return SplitPlan(
            self.splits,
            {
                space: Directions(scores[space].incoming, scores[space].outgoing)
                for space, indices in self.splits.items()
                if indices and space in scores
            },
        )

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
        data: dict[str, Any] = {"format": _FORMAT, "splits": self.splits}
        if self.directions:
            data["directions"] = {
                space: {
                    side: {name: array.tolist() for name, array in arrays.items()}
                    for side, arrays in asdict(directions).items()
                }
                for space, directions in self.directions.items()
            }
        return json.dumps(data)

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
        try:
            directions = {
                space: Directions(
                    **{
                        side: {name: np.asarray(array) for name, array in part.items()}
                        for side, part in sides.items()
                    }
                )
                for space, sides in data.get("directions", {}).items()
            }
        except (AttributeError, TypeError, ValueError) as error:
            raise PlanError(
                'Expected "directions" to hold, by space, "incoming" and "outgoing" '
                f"arrays by kernel name; {error}."
            ) from error
        return cls(data.get("splits"), directions)

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
