"""Which arms answer which question; the others are compared to the first of each."""

from __future__ import annotations

from typing import Any

from fair.arms import Arm
from fair.runs import Spec

# As the library's first version grew: copies along splitting directions.
PUBLISHED = {"epsilon": 0.5, "rounds": 3}


def _scaled(name: str = "scaled", **spec: Any) -> Arm:
    return Arm(name, Spec("scaled", 0.0, **spec))


def _grown(name: str, growth: dict[str, Any], **spec: Any) -> Arm:
    return Arm(name, Spec("grown", 0.0, growth=growth, **spec))


def _scores(**spec: Any) -> list[Arm]:
    """Growing by every score."""
    return [
        _grown("grown evenly", {"method": "uniform"}, **spec),
        _grown("grown, candidates", {"method": "candidates"}, **spec),
        _grown("grown, splitting index", {"method": "splitting"}, **spec),
    ]


SHORT = [_scaled(), *_scores()]
STUDIES: dict[str, list[Arm]] = {
    "short": SHORT,
}
