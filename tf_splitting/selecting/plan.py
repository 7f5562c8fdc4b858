"""Which neurons to split: plain data between selection and rebuilding."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from tf_splitting.errors import PlanError
from tf_splitting.estimating import Directions, by_space, check_directions
from tf_splitting.selecting import plan_text
from tf_splitting.selecting.moves import Moves, check_moves
from tf_splitting.tracing import ChannelGraph


@dataclass
class SplitPlan(plan_text.Saved):
    """Neurons to split, by channel space.

    An index named once is split into two copies, named k times into k + 1. Copies are
    appended behind the space's neurons in the order of the list, so that existing
    neurons keep their index.

    Attributes:
        splits: space name to neuron indices, each in `[0, width)`.
        directions: space name to the directions to split along; usually empty, the
            scores hold them. `with_directions` makes a plan that can be applied
            without its scores.
        candidates: space name to the numbers of the candidates that were chosen, one
            for each index: a fresh neuron of a number is drawn the same whichever
            others are, so that what is added is what was scored. Usually empty.
        moves: space name to what becomes of its neurons' outgoing weights and by how
            much they move apart (`Moves`), where the plan says so itself; usually
            empty, the step of `split` says it for all.
        made_for: space name to the width that the space must have for the plan to
            apply. `select` fills in those of all spaces that may grow; a handwritten
            plan may leave it empty. Plans that split the same neurons are equal
            whatever they were made for.

    Raises:
        PlanError: an index or a width is no whole number or out of range, or an
            argument is something else.

    Example:
        >>> plan = SplitPlan({"conv1": [0, 3], "conv_pw_1": [5, 5]})
        >>> plan.save("plan.json")
        >>> SplitPlan.load("plan.json") == plan
        True
    """

    splits: dict[str, list[int]]
    directions: dict[str, Directions] = field(compare=False, repr=False)
    made_for: dict[str, int] = field(compare=False, repr=False)
    candidates: dict[str, list[int]] = field(compare=False, repr=False)
    moves: dict[str, Moves] = field(repr=False)

    def __init__(
        self,
        splits: Mapping[str, Iterable[int]] | None = None,
        directions: Mapping[str, Directions] | None = None,
        made_for: Mapping[str, int] | None = None,
        candidates: Mapping[str, Iterable[int]] | None = None,
        moves: Mapping[str, Moves] | None = None,
    ) -> None:
        self.splits = plan_text.as_lists("splits", splits)
        self.directions = {
            space: Directions(
                *(getattr(known, each.name, {}) for each in fields(Directions))
            )
            for space, known in check_directions("directions", directions).items()
        }
        self.made_for = plan_text.as_widths(made_for)
        expected = "a mapping from space names to lists of candidate numbers"
        self.candidates = {
            space: plan_text.as_indices(space, numbers, "candidates")
            for space, numbers in by_space("candidates", candidates, expected).items()
        }
        for space, numbers in self.candidates.items():
            indices = self.splits.get(space, [])
            if len(numbers) != len(indices) or len({*numbers}) != len(numbers):
                raise PlanError(
                    f"Got candidates[{space!r}]={numbers}; expected {len(indices)} "
                    "numbers, one for each index of the space, each another. Leave it "
                    "out to have neurons drawn anyhow."
                )
        expected = "a mapping from space names to Moves"
        self.moves = check_moves(by_space("moves", moves, expected), self.splits)

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

    @property
    def added(self) -> dict[str, int]:
        """Number of neurons that are added, by the spaces that grow."""
        return {space: len(each) for space, each in self.splits.items() if each}

    def changes(self) -> dict[str, int]:
        """By how many neurons each space that changes gets wider."""
        return self.added

    def widths_before(self) -> dict[str, int]:
        """Widths of the model that the plan was made for, as far as it says."""
        return self.made_for

    def with_directions(self, scores: Mapping[str, Any]) -> SplitPlan:
        """The plan together with the directions that the scores hold for its spaces.

        Args:
            scores: `SplittingScores` from `estimate`.

        Raises:
            PlanError: they are something else.
        """
        scores = check_directions("scores", scores)
        return SplitPlan(
            self.splits,
            {
                space: scores[space]
                for space, indices in self.splits.items()
                if indices and space in scores
            },
            self.made_for,
            self.candidates,
            self.moves,
        )

    def widths(self, graph: ChannelGraph) -> dict[str, int]:
        """Width of every space of the graph once the plan is applied.

        Raises:
            PlanError: `graph` is no traced model.
        """
        plan_text.check_graph(graph)
        return {
            space.name: space.width + len(self.splits.get(space.name, ()))
            for space in graph.spaces
        }

    def check(self, graph: ChannelGraph) -> None:
        """Raises unless the plan fits the traced model.

        Raises:
            PlanError: a space does not exist or is frozen, an index is out of range,
                or a space has another width than in the model the plan was made for.
        """
        plan_text.check_fits(graph, self.splits, self.made_for, "SplitPlan", "splits")

    def to_json(self) -> str:
        """The plan as JSON text."""
        data: dict[str, Any] = {"format": plan_text.FORMAT, "splits": self.splits}
        if self.made_for:
            data["made_for"] = self.made_for
        if self.candidates:
            data["candidates"] = self.candidates
        if self.moves:
            data["moves"] = {space: asdict(each) for space, each in self.moves.items()}
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
        data = plan_text.parse(text, "SplitPlan", "splits")
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
            moves = {
                space: Moves(**each) for space, each in data.get("moves", {}).items()
            }
        except (AttributeError, TypeError, ValueError) as error:
            raise PlanError(
                'Expected "moves" to hold, by space, "shares" and "steps", and '
                '"directions" to hold, by space, "incoming" and "outgoing" '
                f"arrays by kernel name; {error}. Leave it out to do without."
            ) from error
        return cls(
            data["splits"],
            directions,
            data.get("made_for"),
            data.get("candidates"),
            moves,
        )
