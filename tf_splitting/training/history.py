"""What happened to a model, as plain data."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tf_splitting.support import write_text_atomically

Kind = Literal["split", "removal", "exchange"]


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
        seconds: time spent "training" (since the last change), "estimating" and
            "rebuilding".
        compute: likewise, of "training" and "estimating", in multiply-accumulates times
            images: a training step counts those of one forward pass per image,
            estimates count at what they cost in training steps.
        kind: "split", "removal" or "exchange".
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


@dataclass
class GrowthHistory:
    """Filled in by a job as it goes; what is there stays there if it is stopped.

    Attributes:
        rounds: one record per change of widths.
        epochs: one entry per epoch: "epoch", "round", "macs", "seconds", "images",
            "compute" (MACs times images) and the logs of `fit` (losses and metrics).
        stopped: why growing ended before the target, if it did.
        settled: why exchanges ended before their last round, if they did.

    Example:
        >>> history = tf_splitting.GrowthHistory()
        >>> grown = tf_splitting.grow(model, ds, target_macs=2e8, history=history)
        >>> [record.macs for record in history.rounds]
    """

    rounds: list[RoundRecord] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    stopped: str | None = None
    settled: str | None = None

    @property
    def compute(self) -> float:
        """Training compute spent, in MACs times images; estimates are in it."""
        training = sum(epoch.get("compute", 0.0) for epoch in self.epochs)
        return training + sum(r.compute.get("estimating", 0.0) for r in self.rounds)

    @property
    def seconds(self) -> float:
        """Seconds spent in training, estimating and rebuilding."""
        growing = sum(
            record.seconds[part]
            for record in self.rounds
            for part in ("estimating", "rebuilding")
        )
        return sum(epoch["seconds"] for epoch in self.epochs) + growing

    def to_dict(self) -> dict[str, Any]:
        """The history as JSON data."""
        return asdict(self)

    def to_json(self) -> str:
        """The history as JSON text."""
        return json.dumps(self.to_dict(), indent=1)

    def fill(self, data: dict[str, Any]) -> None:
        """Takes over what `to_dict` returned, in place of what is there."""
        self.rounds[:] = [RoundRecord(**record) for record in data["rounds"]]
        self.epochs[:] = data["epochs"]
        self.stopped = data["stopped"]
        self.settled = data.get("settled")

    def save(self, path: str | Path) -> None:
        """Writes the history as JSON; the file appears whole or not at all."""
        write_text_atomically(path, self.to_json())
