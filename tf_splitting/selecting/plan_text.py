"""What all plans share: how they are written and read, and checked against a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tf_splitting.errors import PlanError
from tf_splitting.estimating import by_space
from tf_splitting.support import (
    DISK_TROUBLE,
    format_table,
    instance,
    refused,
    shown,
    whole,
    write_text_atomically,
)
from tf_splitting.support import path as as_path
from tf_splitting.tracing import ChannelGraph

FORMAT = 1

_Plan = TypeVar("_Plan", bound="Saved")


def as_lists(name: str, given: Any) -> dict[str, list[int]]:
    """Neuron indices by space.

    Raises:
        PlanError: it is something else.
    """
    expected = "a mapping from space names to lists of neuron indices"
    hint = 'Pass one, such as {"conv1": [0, 3]}.'
    return {
        space: as_indices(space, indices, name)
        for space, indices in by_space(name, given, expected, hint).items()
    }


def as_indices(space: str, indices: Any, what: str) -> list[int]:
    """Neuron indices as a list of ints.

    Raises:
        PlanError: they are something else.
    """
    name = f"{what}[{space!r}]"
    scalar = isinstance(indices, np.ndarray) and indices.ndim == 0
    if scalar or not isinstance(indices, Iterable):
        hint = "Pass one, such as [0, 3]."
        raise refused(name, indices, "a list of neuron indices", hint, PlanError)
    return [
        whole(f"{name}[{k}]", index, at_least=0, error=PlanError)
        for k, index in enumerate(indices)
    ]


def as_widths(given: Any) -> dict[str, int]:
    """The widths that a plan was made for.

    Raises:
        PlanError: they are something else.
    """
    expected = "a mapping from space names to their widths"
    return {
        space: whole(f"made_for[{space!r}]", width, at_least=1, error=PlanError)
        for space, width in by_space("made_for", given, expected).items()
    }


def check_graph(graph: ChannelGraph) -> None:
    """Raises unless it is a traced model.

    Raises:
        PlanError: it is something else.
    """
    expected, hint = "a ChannelGraph", "Pass tf_splitting.trace(model)."
    instance("graph", graph, ChannelGraph, expected, hint, error=PlanError)


def check_fits(
    graph: ChannelGraph,
    chosen: Mapping[str, list[int]],
    made_for: Mapping[str, int],
    kind: str,
    field: str,
) -> None:
    """Raises unless a plan's neurons are those of a traced model.

    Args:
        graph: the model.
        chosen: neurons by space.
        made_for: widths that the plan was made for.
        kind: of the plan: its class.
        field: where it holds the neurons.

    Raises:
        PlanError: a space does not exist or is frozen, an index is out of range, or a
            space has another width than in the model the plan was made for.
    """
    check_graph(graph)
    does = {"splits": "splits", "removals": "removes"}[field]
    for name, width in made_for.items():
        found = graph.space(name).width
        if found != width:
            raise PlanError(
                f"The plan was made for a model whose space {name!r} has {width} "
                f"neurons; that of model {graph.name!r} has {found}. Make a plan "
                "for this model with select(), or apply this one all the same as "
                f"{kind}(plan.{field})."
            )
    for name, indices in chosen.items():
        space = graph.space(name)
        if not indices:
            continue
        if space.frozen is not None:
            raise PlanError(
                f"The plan {does} space {name!r}, which is frozen because "
                f"{space.frozen}. Remove it from the plan."
            )
        if max(indices) >= space.width:
            raise PlanError(
                f"The plan {does} neuron {max(indices)} of space {name!r}, which "
                f"has {space.width} neurons, numbered from 0. Was the plan made "
                "for another model?"
            )


def parse(text: Any, kind: str, key: str) -> dict[str, Any]:
    """The object that JSON text of a plan holds.

    Raises:
        PlanError: the text is no plan of this kind.
    """
    instance("text", text, (str, bytes), "JSON text", error=PlanError)
    how = f"Write it with {kind}.save or to_json."
    try:
        data: Any = json.loads(text)
    # Integers of 4,300 digits are ValueErrors too; nesting may be too deep.
    except (ValueError, RecursionError) as error:
        raise PlanError(
            f"Got {shown(text)}; expected a {kind} as JSON text, but {error}. {how}"
        ) from error
    is_plan = isinstance(data, dict) and isinstance(data.get(key), dict)
    if not is_plan or data.get("format") != FORMAT:
        raise PlanError(
            f"Got {shown(text)}; expected a JSON object with "
            f'"format": {FORMAT} and "{key}". {how}'
        )
    return data


class Saved:
    """A plan that has `to_json` and `from_json`, and so can be a file."""

    def summary(self, print_fn: Callable[[str], Any] | None = None) -> None:
        """Prints the plan space by space, as `keras.Model.summary` prints layers.

        Args:
            print_fn: called with the text in place of `print`.
        """
        parts = self.changes()
        widths = self.widths_before()
        rows = [("Channel space", "Width", "Change", "New width")]
        for space, change in parts.items():
            before = widths.get(space)
            after = "" if before is None else str(before + change)
            rows.append((space, str(before or ""), f"{change:+d}", after))
        more = sum(change for change in parts.values() if change > 0)
        less = -sum(change for change in parts.values() if change < 0)
        counts = [f"{more} neurons more"] * bool(more)
        counts += [f"{less} neurons less"] * bool(less)
        (print_fn or print)(
            f"{type(self).__name__}\n{format_table(rows, longest=44)}\n"
            f"{', '.join(counts) or 'nothing changes'}"
        )

    def changes(self) -> dict[str, int]:
        """By how many neurons each space that changes gets wider, or narrower."""
        raise NotImplementedError

    def widths_before(self) -> dict[str, int]:
        """Widths of the model that the plan was made for, as far as it says."""
        raise NotImplementedError

    def to_json(self) -> str:
        """The plan as JSON text."""
        raise NotImplementedError

    @classmethod
    def from_json(cls: type[_Plan], text: str) -> _Plan:
        """Reads what `to_json` wrote.

        Raises:
            PlanError: the text is not a plan.
        """
        raise NotImplementedError

    def save(self, path: str | Path) -> None:
        """Writes the plan as JSON; the file appears whole or not at all.

        Raises:
            PlanError: there can be no such file.
            OSError: the disk is full or broken.
        """
        path = as_path("path", path, error=PlanError)
        try:
            write_text_atomically(path, self.to_json())
        except OSError as error:
            if error.errno in DISK_TROUBLE:
                raise
            raise PlanError(
                f"The plan cannot be written to {str(path)!r}: {error}. Choose "
                "another path."
            ) from error

    @classmethod
    def load(cls: type[_Plan], path: str | Path) -> _Plan:
        """Reads a plan from a JSON file.

        Raises:
            PlanError: the file cannot be read, or does not hold a plan.
        """
        path = as_path("path", path, error=PlanError)
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PlanError(
                f"No plan can be read from {str(path)!r}: {error}. Give the path of a "
                f"JSON file that {cls.__name__}.save wrote."
            ) from error
        return cls.from_json(text)
