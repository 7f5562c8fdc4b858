"""What happened to a model, as plain data."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tf_splitting.errors import DataError
from tf_splitting.support import in_a_line, write_text_atomically
from tf_splitting.support import path as as_path

# What an epoch's entry holds besides the logs of `fit`.
OF_EPOCHS = ("epoch", "round", "macs", "seconds", "images", "compute", "measuring")

Kind = Literal["split", "removal", "exchange"]


@dataclass(frozen=True)
class Seed:
    """What a job started from.

    Attributes:
        macs, params: of the model.
        widths: width of every space.
        layer_widths: output width of every layer that has neurons of its own.
        layer_macs: multiply-accumulates of every layer that has some.
    """

    macs: int
    params: int
    widths: dict[str, int]
    layer_widths: dict[str, int]
    layer_macs: dict[str, int]


@dataclass
class RoundRecord:
    """One change of widths: a split, a removal, or an exchange.

    Attributes:
        round: 1 for the first.
        macs, params: of the rebuilt model.
        added, removed: numbers of neurons.
        widths: width of every space of the rebuilt model.
        epsilon: the relative step that splits took, or "fresh"; None where nothing was
            split.
        before, after: loss and metrics on the estimation sample, in inference mode,
            before and after. Losses are without regularizers.
        examples, passes: how many examples the neurons were measured on, and how often
            the solver went over them in the end; None where nothing was estimated.
        predicted_gain: what the loss was to fall by: the sum of the gains of the
            neurons that were split, at the step they were estimated with, less what
            those that were removed were to lose; None where nothing was estimated.
        seconds: time spent "training" (since the last change), "estimating",
            "rebuilding" and "measuring" (losses before and after).
        compute: likewise, of "training" and "estimating", in multiply-accumulates times
            images: a training step counts those of one forward pass per image,
            estimates count at what they cost in training steps.
        kind: "split", "removal" or "exchange".
        layer_widths, layer_macs: of the rebuilt model, as a `Seed`'s.
        gains: `predicted_gain` by the spaces that changed.
        space_macs: what the MACs change by if one of these changes alone.
    """

    round: int
    macs: int
    params: int
    added: int
    widths: dict[str, int]
    epsilon: float | str | None
    before: dict[str, float]
    after: dict[str, float]
    examples: int | None
    passes: int | None
    predicted_gain: float | None
    seconds: dict[str, float]
    compute: dict[str, float] = field(default_factory=dict)
    removed: int = 0
    kind: Kind = "split"
    layer_widths: dict[str, int] = field(default_factory=dict)
    layer_macs: dict[str, int] = field(default_factory=dict)
    gains: dict[str, float] = field(default_factory=dict)
    space_macs: dict[str, int] = field(default_factory=dict)


@dataclass
class Member:
    """A finished model of a family, which a job with several targets grows.

    Attributes:
        target_macs: the target that it meets.
        macs, params: of the model.
        round, epoch: rounds and epochs of the job that lead to it.
        compute, seconds: that went into it, those of the job up to there included.
        logs: losses and metrics of its last epoch, as `fit` logs them.
        stopped, settled: as a history's.
        rounds, epochs: its own, behind those of the job: as a history's. The last
            member's are the job's own, and none are here.
    """

    target_macs: float
    macs: int
    params: int
    round: int
    epoch: int
    compute: float
    seconds: float
    logs: dict[str, float]
    stopped: str | None
    settled: str | None
    rounds: list[RoundRecord] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Member:
        """What `asdict` took apart."""
        rounds = [RoundRecord(**record) for record in data["rounds"]]
        return cls(**{**data, "rounds": rounds})


@dataclass
class GrowthHistory:
    """Filled in by a job as it goes; what is there stays there if it is stopped.

    Attributes:
        rounds: one record per change of widths.
        epochs: one entry per epoch: "epoch", "round", "macs", "seconds", "images",
            "compute" (MACs times images), "measuring" (seconds of these that went into
            validation data) and the logs of `fit` (losses and metrics).
        stopped: why growing ended before the target, if it did.
        settled: why exchanges ended before their last round, if they did.
        members: of a job with several targets, the models that are finished.
        seed: what the job started from; None before it starts, and in histories of
            older versions, whose rounds do not hold layers either.
        branch: while one of these has left the job's own path to be finished: what led
            to it and what it does. Not kept.

    Example:
        >>> history = tf_splitting.GrowthHistory()
        >>> grown = tf_splitting.grow(model, ds, target_macs=2e8, history=history)
        >>> [record.macs for record in history.rounds]
    """

    rounds: list[RoundRecord] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    stopped: str | None = None
    settled: str | None = None
    members: list[Member] = field(default_factory=list)
    seed: Seed | None = None
    branch: GrowthHistory | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        members = f", {len(self.members)} members" * bool(self.members)
        return (
            f"<GrowthHistory of {len(self.rounds)} rounds, {len(self.epochs)} epochs"
            f"{members}>"
        )

    @property
    def compute(self) -> float:
        """Training compute spent, in MACs times images; estimates are in it."""
        return self.path_compute + sum(_compute(*own) for own in self._branches)

    @property
    def path_compute(self) -> float:
        """The same, without what members took that left the job's own path."""
        return _compute(self.rounds, self.epochs)

    @property
    def seconds(self) -> float:
        """Seconds spent in training, estimating and rebuilding."""
        return self.path_seconds + sum(_seconds(*own) for own in self._branches)

    @property
    def path_seconds(self) -> float:
        """The same, without what members took that left the job's own path."""
        return _seconds(self.rounds, self.epochs)

    @property
    def _branches(self) -> list[tuple[list[RoundRecord], list[dict[str, Any]]]]:
        return [(member.rounds, member.epochs) for member in self.members]

    def path_to(self, member: Member) -> GrowthHistory:
        """The history of one member, as if it had been grown alone."""
        return GrowthHistory(
            [*self.rounds[: member.round], *member.rounds],
            [*self.epochs[: member.epoch], *member.epochs],
            member.stopped,
            member.settled,
            seed=self.seed,
        )

    def to_dict(self) -> dict[str, Any]:
        """The history as JSON data."""
        data = asdict(replace(self, branch=None))
        del data["branch"]
        return data

    def to_json(self) -> str:
        """The history as JSON text."""
        return json.dumps(self.to_dict(), indent=1)

    def fill(self, data: dict[str, Any]) -> None:
        """Takes over what `to_dict` returned, in place of what is there."""
        self.rounds[:] = [RoundRecord(**record) for record in data["rounds"]]
        self.epochs[:] = data["epochs"]
        self.stopped = data["stopped"]
        self.settled = data.get("settled")
        self.members[:] = [Member.of(each) for each in data.get("members", [])]
        seed = data.get("seed")
        self.seed = None if seed is None else Seed(**seed)

    def save(self, path: str | Path) -> None:
        """Writes the history as JSON; the file appears whole or not at all."""
        write_text_atomically(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> GrowthHistory:
        """Reads what `save` wrote, now or by an older version.

        Raises:
            DataError: there is no such file, or it is something else.

        Example:
            >>> history = tf_splitting.GrowthHistory.load("run/history.json")
        """
        path = as_path("path", path)
        history = cls()
        try:
            history.fill(json.loads(path.read_text()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{str(path)!r} is no history of a job: {in_a_line(error)}. Expected a "
                "history.json, or what GrowthHistory.save wrote."
            ) from error
        return history


def _compute(rounds: list[RoundRecord], epochs: list[dict[str, Any]]) -> float:
    training = sum(epoch.get("compute", 0.0) for epoch in epochs)
    return training + sum(r.compute.get("estimating", 0.0) for r in rounds)


def _seconds(rounds: list[RoundRecord], epochs: list[dict[str, Any]]) -> float:
    parts = ("estimating", "rebuilding", "measuring")
    growing = sum(record.seconds.get(part, 0.0) for record in rounds for part in parts)
    return sum(epoch["seconds"] for epoch in epochs) + growing
