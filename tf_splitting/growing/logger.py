"""A Keras callback for loops of one's own: tells and logs what changes of widths do."""

from __future__ import annotations

from typing import Any

from tf_splitting.costs import macs_by_space
from tf_splitting.estimating import SplittingScores
from tf_splitting.growing.describing import described
from tf_splitting.growing.round_table import changes_in
from tf_splitting.selecting import SplitPlan, gains_of
from tf_splitting.support import (
    format_count,
    format_table,
    instance,
    styled,
    verbosity,
    whole,
)
from tf_splitting.tracing import ChannelGraph, trace
from tf_splitting.training import EpochWatch, GrowthHistory, RoundRecord, Seed


class GrowthLogger(EpochWatch):
    """Tells, records and logs what is done to a model between calls of `fit`.

    One object is passed to `fit` of every model of a loop. Where a model has other
    widths than the one before, it prints what has changed, and adds a round to its
    history. To the logs of every epoch it adds "macs", "params" and "round", which
    whatever comes after it in the list of callbacks sees: `TensorBoard`, `CSVLogger`,
    and the `History` that `fit` returns.

    Args:
        history: filled in; a new one unless given. `exporting.write_report` shows it.
        batch_size: examples in a batch. With it the history holds training compute.
        verbose: 0 prints nothing.

    Attributes:
        history: what was done so far.

    Raises:
        SplittingError: an argument is something else.

    Example:
        >>> log = tf_splitting.GrowthLogger(batch_size=64)
        >>> model.fit(x, y, epochs=2, callbacks=[log])
        >>> scores = tf_splitting.estimate(model, (x, y))
        >>> plan = tf_splitting.select(scores, graph, target_macs=2e6)
        >>> log.planned(plan, scores)  # if it is to tell what was predicted
        >>> model = tf_splitting.split(model, plan, scores=scores, epsilon="fresh")
        >>> model.fit(x, y, initial_epoch=2, epochs=6, callbacks=[log])
    """

    def __init__(
        self,
        history: GrowthHistory | None = None,
        *,
        batch_size: int | None = None,
        verbose: int = 1,
    ) -> None:
        super().__init__()
        if history is not None:
            instance("history", history, GrowthHistory, "a GrowthHistory")
        self.history = GrowthHistory() if history is None else history
        self._rows = whole("batch_size", batch_size, at_least=1, or_none=True)
        self._verbose = verbosity(verbose)
        self._before: ChannelGraph | None = None
        self._cost: dict[str, int] = {}
        self._gains: dict[str, float] = {}

    def __repr__(self) -> str:
        done = self.history
        return f"GrowthLogger({len(done.rounds)} rounds, {len(done.epochs)} epochs)"

    def planned(self, plan: SplitPlan, scores: SplittingScores | None = None) -> None:
        """Says what the next change is, so that its predicted gain is recorded.

        Args:
            plan: what is about to be split.
            scores: what it was chosen by.
        """
        instance("plan", plan, SplitPlan, "a SplitPlan")
        self._gains = {} if scores is None else gains_of(plan, scores)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        graph = trace(self.model)
        now = described(self.model, graph)
        if self._before is None:
            if self.history.seed is None:
                self.history.seed = Seed(**now)
        elif graph.widths != self._before.widths:
            self._changed(self._before, graph, now)
        self._before = graph
        self._cost = {"macs": now["macs"], "params": now["params"]}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        images = self._batches * (self._rows or 0)
        spent = {"images": images, "compute": float(images * self._cost["macs"])}
        self.history.epochs.append(
            {
                "epoch": epoch + 1,
                "round": len(self.history.rounds),
                "macs": self._cost["macs"],
                "seconds": self.spent,
                **(spent if self._rows else {}),
                "measuring": self._measuring.reset(),
                **{name: float(value) for name, value in logs.items()},
            }
        )
        # For the callbacks that come after this one.
        logs.update(self._cost, round=len(self.history.rounds))

    def _changed(
        self, before: ChannelGraph, after: ChannelGraph, now: dict[str, Any]
    ) -> None:
        """Records what is new since the last call of `fit`, and tells it."""
        changes = {
            space: after.widths[space] - width
            for space, width in before.widths.items()
            if after.widths.get(space, width) != width
        }
        added = sum(change for change in changes.values() if change > 0)
        removed = -sum(change for change in changes.values() if change < 0)
        done = len(self.history.rounds)
        epochs = [epoch for epoch in self.history.epochs if epoch["round"] == done]
        gains, self._gains = self._gains, {}
        record = RoundRecord(
            round=done + 1,
            **now,
            added=added,
            removed=removed,
            epsilon=None,
            before={},
            after={},
            examples=None,
            passes=None,
            predicted_gain=sum(gains.values()) if gains else None,
            gains=gains,
            space_macs=macs_by_space(before, {s: after.widths[s] for s in changes}),
            seconds={
                "training": sum(epoch["seconds"] for epoch in epochs),
                "estimating": 0.0,
                "rebuilding": 0.0,
            },
            kind="exchange" if added and removed else "split" if added else "removal",
        )
        self.history.rounds.append(record)
        if self._verbose:
            self._tell(record, before, changes)

    def _tell(
        self, record: RoundRecord, before: ChannelGraph, changes: dict[str, int]
    ) -> None:
        title = (
            f"round {record.round}: {changes_in(record)}, "
            f"{format_count(self._cost['macs'])} to {format_count(record.macs)} MACs"
        )
        rows = [("space", "before", "after")]
        rows += [
            (space, str(before.widths[space]), str(before.widths[space] + change))
            for space, change in changes.items()
        ]
        print(f"{styled(title, 'bold')}\n{format_table(rows, longest=40)}", flush=True)
