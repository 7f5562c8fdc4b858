"""What estimating yields: for every neuron how much splitting it would gain."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tf_splitting.errors import PlanError
from tf_splitting.estimating.directions import Directions
from tf_splitting.support import appearing, format_table
from tf_splitting.tracing import ChannelGraph, Field, Neurons, Role
from tf_splitting.tracing import layout as lay

tree = keras.tree
_FORMAT = 1


@dataclass(frozen=True)
class SpaceScores:
    """Scores of one channel space.

    Attributes:
        splitting_index: λ, `[width]`: splitting neuron i along its direction by the
            scores' epsilon changes the loss on the sample by `½ ε² λ_i`. As ε tends to
            0 it tends to the minimum eigenvalue of the splitting matrix.
        gain: predicted fall of the sample's loss at the scores' epsilon, `-½ ε² λ`,
            `[width]`. On other examples it is less: directions are those best for
            the sample.
        incoming: for each producer kernel the direction of its slice, kernel-shaped
            with the output axis restricted to this space.
        outgoing: for each consumer kernel likewise, the input axis restricted to
            this space (every position of it, where Flatten made several).
        residual: |Sv - λv| of the direction found, `[width]`: an eigenvalue of the
            sample's splitting matrix lies within this distance of λ.
            None if the estimator does not tell.
        standard_error: of λ, from its spread over the sample, `[width]`; NaN for a
            sample of one batch.
        matrices: the splitting matrices, `[width, weights, weights]`, from `Exact`;
            else None. Rows are the neuron's slices in the order in which the
            graph lists kernels, each slice flattened.

        parents: of scores of new neurons, the neuron that each candidate is a child of,
            `[candidates]`; `gain` is then `[candidates]` too. None: candidate i is
            neuron i, once.
        fresh, second_incoming, second_outgoing: as in `Directions`.

    Together the incoming and outgoing parts of a neuron are one unit vector; each is
    in units of the norm of the weight slice it changes.
    """

    splitting_index: np.ndarray
    gain: np.ndarray
    incoming: Mapping[str, np.ndarray]
    outgoing: Mapping[str, np.ndarray]
    residual: np.ndarray | None = None
    standard_error: np.ndarray | None = None
    matrices: np.ndarray | None = None
    parents: np.ndarray | None = None
    fresh: Mapping[str, np.ndarray] = field(default_factory=dict)
    second_incoming: Mapping[str, np.ndarray] = field(default_factory=dict)
    second_outgoing: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __repr__(self) -> str:
        lowest = self.splitting_index.min() if len(self.splitting_index) else math.nan
        return (
            f"<SpaceScores of {len(self.splitting_index)} neurons, lowest splitting "
            f"index {lowest:.3g}>"
        )

    def repeated(self, times: int) -> SpaceScores:
        """Scores of new neurons, of which a neuron may be the parent of several.

        Nobody says what a second child of one parent gains. Each is taken to gain its
        share of what the first would: the k-th one 1/k of it.

        Args:
            times: how many children a neuron may have.
        """
        shares = 1 / np.arange(1, times + 1)
        return replace(
            self,
            gain=np.outer(shares, self.gain).reshape(-1),
            parents=np.tile(np.arange(len(self.gain)), times),
        )


@dataclass(frozen=True)
class SplittingScores(Mapping[str, SpaceScores]):
    """Scores of every growable space, by name; a mapping to `SpaceScores`.

    Attributes:
        spaces: the scores.
        epsilon: the step the gains are predicted for.
        loss: loss on the sample before any split.
        examples: size of the sample.
        estimator: what computed them, in words.
        passes: how often the solver went over the sample.

    Example:
        >>> scores = tf_splitting.estimate(model, (x, y))
        >>> scores["conv1"].splitting_index.min()
    """

    spaces: Mapping[str, SpaceScores]
    epsilon: float
    loss: float
    examples: int
    estimator: str = ""
    passes: int = 0

    def __getitem__(self, name: str) -> SpaceScores:
        return self.spaces[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.spaces)

    def __len__(self) -> int:
        return len(self.spaces)

    def __repr__(self) -> str:
        return (
            f"<SplittingScores of {len(self)} spaces on {self.examples} examples, by "
            f"{self.estimator.partition('(')[0] or 'nobody knows what'}>"
        )

    def repeated(self, times: int) -> SplittingScores:
        """The same with a neuron the parent of several, see `SpaceScores.repeated`."""
        spaces = {name: each.repeated(times) for name, each in self.spaces.items()}
        return replace(self, spaces=spaces)

    def __str__(self) -> str:
        rows = [("space", "width", "lowest index", "median index", "summed gain")]
        for name, space in self.spaces.items():
            index = space.splitting_index
            rows.append(
                (
                    name,
                    str(len(index)),
                    f"{index.min():.4g}",
                    f"{np.median(index):.4g}",
                    f"{np.maximum(space.gain, 0).sum():.4g}",
                )
            )
        return format_table(rows)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All there is as named arrays; what is no array is JSON text in "about"."""
        arrays: dict[str, np.ndarray] = {}
        spaces: dict[str, Any] = {}

        def put(value: np.ndarray) -> str:
            name = str(len(arrays))
            arrays[name] = np.asarray(value)
            return name

        for space, scores in self.spaces.items():
            spaces[space] = {
                part.name: tree.map_structure(put, getattr(scores, part.name))
                for part in fields(scores)
                if getattr(scores, part.name) is not None
            }
        rest = {f.name: getattr(self, f.name) for f in fields(self)[1:]}
        about = json.dumps({"format": _FORMAT, "spaces": spaces, **rest})
        return {**arrays, "about": np.frombuffer(about.encode(), np.uint8)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> SplittingScores:
        """Reads what `to_arrays` made.

        Raises:
            PlanError: the arrays are not scores.
        """
        try:
            about = json.loads(arrays["about"].tobytes())
            if about.pop("format") != _FORMAT:
                raise PlanError("The scores are of another version of tf_splitting.")
            spaces = {
                space: SpaceScores(**tree.map_structure(arrays.__getitem__, parts))
                for space, parts in about.pop("spaces").items()
            }
            return cls(spaces, **about)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, PlanError):
                raise
            raise PlanError(f"These arrays are not splitting scores: {error!r}.") from (
                error
            )

    def save(self, path: str | Path) -> None:
        """Writes the scores as `.npz`; the file appears whole or not at all.

        Example:
            >>> scores.save("scores.npz")
            >>> scores = tf_splitting.SplittingScores.load("scores.npz")
        """
        arrays: dict[str, Any] = self.to_arrays()
        with appearing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> SplittingScores:
        """Reads what `save` wrote.

        Raises:
            PlanError: the file does not hold scores.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
            raise PlanError(
                f"{str(path)!r} cannot be read as splitting scores: {error}."
            ) from error
        return cls.from_arrays(arrays)


def slices(
    neurons: Neurons, values: Field, space: str
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A space's part of a field, as `(incoming, outgoing)` by kernel name."""
    parts: dict[str, dict[str, np.ndarray]] = {"produced": {}, "consumed": {}}
    for slot, array in zip(neurons.slots, values, strict=True):
        axis, where = _where(neurons.graph, slot.weight, slot.role, space)
        if len(where):
            parts[slot.role][slot.weight] = np.take(array, where, axis)
    return parts["produced"], parts["consumed"]


def assemble(
    neurons: Neurons,
    scores: Mapping[str, SpaceScores | Directions],
    spaces: list[str],
    *,
    second: bool = False,
) -> Field:
    """The inverse of `slices`: some spaces' directions as one field, zero elsewhere.

    Args:
        neurons: of the model.
        scores: hold the directions.
        spaces: which of theirs.
        second: take the second direction of every neuron.

    Raises:
        PlanError: a direction's shape does not fit the model's kernel.
    """
    whole = []
    for slot in neurons.slots:
        values = np.zeros(slot.variable.shape, np.float64)
        for space in spaces:
            axis, where = _where(neurons.graph, slot.weight, slot.role, space)
            side = "incoming" if slot.role == "produced" else "outgoing"
            known = scores[space]
            parts: Mapping[str, np.ndarray] = getattr(
                known, f"second_{side}" if second else side
            )
            if not len(where) or slot.weight not in parts:
                continue
            index = lay.at(values.ndim, axis, where)
            expected = values[index].shape
            if parts[slot.weight].shape != expected:
                raise PlanError(
                    f"The directions of space {space!r} have shape "
                    f"{parts[slot.weight].shape} for kernel {slot.weight!r}; the model "
                    f"needs {expected}. Were they computed for another model? Run "
                    "estimate() on this one."
                )
            values[index] = parts[slot.weight]
        whole.append(values)
    return whole


def _where(
    graph: ChannelGraph, weight: str, role: Role, space: str
) -> tuple[int, np.ndarray]:
    axis, layout = graph.weight(weight).layout(role)
    return axis, lay.positions(layout, graph.widths, space)
