"""What removals cost, as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tf_splitting.errors import PlanError
from tf_splitting.support import format_table

_FORMAT = 1


@dataclass(frozen=True)
class RemovalScores(Mapping[str, np.ndarray]):
    """What each neuron of every growable space costs to remove; a mapping by space.

    Attributes:
        spaces: costs by name of the space, `[width]`: by `SecondOrder` what the loss is
            expected to rise by, by others a number that is smaller for neurons that
            are thought to matter less. Infinite: the neuron has to stay.
        examples: size of the sample.
        estimator: what computed them, in words.
        predicted: whether costs are rises of the loss.

    Example:
        >>> scores = tf_splitting.estimate_removals(model, (x, y))
        >>> scores["conv1"].argmin()
    """

    spaces: Mapping[str, np.ndarray]
    examples: int = 0
    estimator: str = ""
    predicted: bool = False

    def __getitem__(self, name: str) -> np.ndarray:
        return self.spaces[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.spaces)

    def __len__(self) -> int:
        return len(self.spaces)

    def __repr__(self) -> str:
        return (
            f"<RemovalScores of {len(self)} spaces on {self.examples} examples, by "
            f"{self.estimator.partition('(')[0] or 'nobody knows what'}>"
        )

    def __str__(self) -> str:
        rows = [("space", "width", "lowest cost", "median cost", "summed cost")]
        for name, costs in self.spaces.items():
            lowest, median, total = costs.min(), np.median(costs), costs.sum()
            rows.append(
                (
                    name,
                    str(len(costs)),
                    f"{lowest:.4g}",
                    f"{median:.4g}",
                    f"{total:.4g}",
                )
            )
        return format_table(rows)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All there is as named arrays; what is no array is JSON text in "about"."""
        about = {
            "format": _FORMAT,
            "spaces": list(self.spaces),
            "examples": self.examples,
            "estimator": self.estimator,
            "predicted": self.predicted,
        }
        arrays = {str(n): costs for n, costs in enumerate(self.spaces.values())}
        return {**arrays, "about": np.frombuffer(json.dumps(about).encode(), np.uint8)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> RemovalScores:
        """Reads what `to_arrays` made.

        Raises:
            PlanError: the arrays are not scores.
        """
        try:
            about = json.loads(arrays["about"].tobytes())
            if about.pop("format") != _FORMAT:
                raise PlanError("The scores are of another version of tf_splitting.")
            names = about.pop("spaces")
            spaces = {name: arrays[str(n)] for n, name in enumerate(names)}
            return cls(spaces, **about)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, PlanError):
                raise
            raise PlanError(f"These arrays are no removal scores: {error!r}.") from (
                error
            )
