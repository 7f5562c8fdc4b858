"""Which neurons to remove: plain data between selection and rebuilding."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tf_splitting.errors import PlanError
from tf_splitting.selecting import plan_text
from tf_splitting.tracing import ChannelGraph


@dataclass
class RemovalPlan(plan_text.Saved):
    """Neurons to remove, by channel space.

    Attributes:
        removals: space name to neuron indices, each in `[0, width)` and named once, in
            ascending order. At least two neurons of every space stay.
        made_for: space name to the width that the space must have for the plan to
            apply; a handwritten plan may leave it empty. Plans that remove the same
            neurons are equal whatever they were made for.

    Raises:
        PlanError: an index is no whole number, or named twice, or an argument is
            something else.

    Example:
        >>> plan = RemovalPlan({"conv1": [0, 3]})
        >>> plan.save("plan.json")
        >>> RemovalPlan.load("plan.json") == plan
        True
    """

    removals: dict[str, list[int]]
    made_for: dict[str, int] = field(compare=False, repr=False)

    def __init__(
        self,
        removals: Mapping[str, Iterable[int]] | None = None,
        made_for: Mapping[str, int] | None = None,
    ) -> None:
        self.removals = {
            space: sorted(indices)
            for space, indices in plan_text.as_lists("removals", removals).items()
        }
        for space, indices in self.removals.items():
            if len({*indices}) < len(indices):
                raise PlanError(
                    f"Got removals[{space!r}]={indices}; expected each index once."
                )
        self.made_for = plan_text.as_widths(made_for)

    def __len__(self) -> int:
        """Number of neurons that are removed."""
        return sum(len(indices) for indices in self.removals.values())

    def __str__(self) -> str:
        lines = [f"RemovalPlan: {len(self)} neurons less"]
        lines += [
            f"  {space}: -{len(indices)} {indices}"
            for space, indices in self.removals.items()
            if indices
        ]
        return "\n".join(lines)

    def changes(self) -> dict[str, int]:
        """By how many neurons each space that changes gets narrower, below 0."""
        return {space: -len(each) for space, each in self.removals.items() if each}

    def widths_before(self) -> dict[str, int]:
        """Widths of the model that the plan was made for, as far as it says."""
        return self.made_for

    def widths(self, graph: ChannelGraph) -> dict[str, int]:
        """Width of every space of the graph once the plan is applied.

        Raises:
            PlanError: `graph` is no traced model.
        """
        plan_text.check_graph(graph)
        return {
            space.name: space.width - len(self.removals.get(space.name, ()))
            for space in graph.spaces
        }

    def check(self, graph: ChannelGraph) -> None:
        """Raises unless the plan fits the traced model.

        Raises:
            PlanError: a space does not exist, is frozen or would be empty, an index is
                out of range, or a space has another width than in the model the plan
                was made for.
        """
        plan_text.check_fits(
            graph, self.removals, self.made_for, "RemovalPlan", "removals"
        )
        floors = graph.floors
        for name, indices in self.removals.items():
            width = graph.space(name).width
            if indices and width - len(indices) < floors[name]:
                raise PlanError(
                    f"The plan removes {len(indices)} of the {width} neurons of space "
                    f"{name!r}; expected {floors[name]} at least to stay. Take some "
                    "out of the plan."
                )

    def to_json(self) -> str:
        """The plan as JSON text."""
        return json.dumps(
            {
                "format": plan_text.FORMAT,
                "removals": self.removals,
                "made_for": self.made_for,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> RemovalPlan:
        """Reads what `to_json` wrote.

        Raises:
            PlanError: the text is not a plan.
        """
        data = plan_text.parse(text, "RemovalPlan", "removals")
        return cls(data["removals"], data.get("made_for"))
