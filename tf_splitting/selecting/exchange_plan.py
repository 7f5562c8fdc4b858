"""Which neurons to remove and which to split for what that frees: plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tf_splitting.errors import PlanError
from tf_splitting.estimating import SpaceScores
from tf_splitting.selecting import plan_text
from tf_splitting.selecting.plan import SplitPlan
from tf_splitting.selecting.removal_plan import RemovalPlan
from tf_splitting.selecting.removal_selection import losses_of
from tf_splitting.selecting.selection import gains_of
from tf_splitting.support import instance
from tf_splitting.tracing import ChannelGraph


@dataclass
class ExchangePlan(plan_text.Saved):
    """Neurons that go, and neurons that are split for what that frees.

    Both plans number the neurons of one model, the one before anything is changed. A
    space loses neurons or gets more of them, not both.

    Attributes:
        removals: which go.
        splits: which are split.

    Raises:
        PlanError: an argument is something else, or a space is in both plans.

    Example:
        >>> plan = tf_splitting.ExchangePlan(
        ...     tf_splitting.RemovalPlan({"wide": [0, 3]}),
        ...     tf_splitting.SplitPlan({"narrow": [5]}),
        ... )
        >>> smaller = tf_splitting.remove(model, plan.removals, dataset=(x, y))
        >>> splits = plan.splits_after(tf_splitting.trace(model))
        >>> model = tf_splitting.split(smaller, splits, epsilon="fresh")
    """

    removals: RemovalPlan = field(default_factory=RemovalPlan)
    splits: SplitPlan = field(default_factory=SplitPlan)

    def __post_init__(self) -> None:
        for name, kind in (("removals", RemovalPlan), ("splits", SplitPlan)):
            expected = f"a {kind.__name__}"
            instance(name, getattr(self, name), kind, expected, error=PlanError)
        for space, indices in self.removals.removals.items():
            if indices and self.splits.splits.get(space):
                raise PlanError(
                    f"The plan both removes and splits neurons of space {space!r}; "
                    "expected one of the two. Take the space out of one plan."
                )

    def __len__(self) -> int:
        """Number of neurons that are removed or added."""
        return len(self.removals) + len(self.splits)

    def __str__(self) -> str:
        return f"{self.removals}\n{self.splits}"

    def changes(self) -> dict[str, int]:
        """By how many neurons each space that changes gets wider, or narrower."""
        return {**self.removals.changes(), **self.splits.changes()}

    def widths_before(self) -> dict[str, int]:
        """Widths of the model that the plan was made for, as far as it says."""
        return {**self.removals.made_for, **self.splits.made_for}

    def widths(self, graph: ChannelGraph) -> dict[str, int]:
        """Width of every space of the graph once the plan is applied.

        Raises:
            PlanError: `graph` is no traced model.
        """
        left, more = self.removals.widths(graph), self.splits.widths(graph)
        return {
            space.name: left[space.name] + more[space.name] - space.width
            for space in graph.spaces
        }

    def predicted_gain(
        self, losses: Mapping[str, Any], gains: Mapping[str, SpaceScores]
    ) -> float:
        """What the loss falls by, as predicted: what splits gain less what goes.

        Args:
            losses: what removals lose by space, from `estimate_removals`.
            gains: what splits gain by space, from `estimate`.
        """
        gained, lost = gains_of(self.splits, gains), losses_of(self.removals, losses)
        return sum(gained.values()) - sum(lost.values())

    def predicted_gains(
        self, losses: Mapping[str, Any], gains: Mapping[str, SpaceScores]
    ) -> dict[str, float]:
        """The same by the spaces that change; negative where neurons go.

        Args:
            losses, gains: as for `predicted_gain`.
        """
        lost = losses_of(self.removals, losses)
        return {
            **{space: -loss for space, loss in lost.items()},
            **gains_of(self.splits, gains),
        }

    def splits_after(self, graph: ChannelGraph) -> SplitPlan:
        """The splits as a plan for the model without the neurons that are removed.

        Spaces that are split lose nothing, so their neurons keep their numbers.

        Args:
            graph: of the model before anything is changed.

        Raises:
            PlanError: `graph` is no traced model.
        """
        widths = self.removals.widths(graph)
        return SplitPlan(
            self.splits.splits,
            self.splits.directions,
            {space: widths[space] for space in self.splits.made_for},
            self.splits.candidates,
            self.splits.moves,
        )

    def check(self, graph: ChannelGraph) -> None:
        """Raises unless the plan fits the traced model.

        Raises:
            PlanError: a space does not exist, is frozen or would lose too many, an
                index is out of range, or a space has another width than in the model
                the plan was made for.
        """
        self.removals.check(graph)
        self.splits.check(graph)

    def to_json(self) -> str:
        """The plan as JSON text."""
        plans = {
            "removals": json.loads(self.removals.to_json()),
            "splits": json.loads(self.splits.to_json()),
        }
        return json.dumps({"format": plan_text.FORMAT, "exchange": plans})

    @classmethod
    def from_json(cls, text: str) -> ExchangePlan:
        """Reads what `to_json` wrote.

        Raises:
            PlanError: the text is not a plan.
        """
        plans = plan_text.parse(text, "ExchangePlan", "exchange")["exchange"]
        return cls(
            RemovalPlan.from_json(json.dumps(plans.get("removals"))),
            SplitPlan.from_json(json.dumps(plans.get("splits"))),
        )
