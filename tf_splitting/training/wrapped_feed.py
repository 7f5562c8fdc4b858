"""A feed around another: what it does not change, it hands on."""

from __future__ import annotations

from typing import Any

from tf_splitting.training.feeds import Feed


class WrappedFeed:
    """Hands everything on to the feed inside."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    @property
    def total(self) -> int | None:
        return self._feed.total

    @property
    def steps(self) -> int | None:
        return self._feed.steps

    @property
    def description(self) -> str:
        return self._feed.description

    @property
    def last_batch(self) -> int | None:
        return self._feed.last_batch

    @property
    def rows(self) -> float | None:
        return self._feed.rows

    def lay(self, epoch: int, position: int, steps: int) -> None:
        self._feed.lay(epoch, position, steps)

    def position(self, epoch: int) -> int | None:
        return self._feed.position(epoch)

    def begin(self, epoch: int) -> None:
        self._feed.begin(epoch)

    def rest(self, epoch: int, first_batch: int) -> Any:
        return self._feed.rest(epoch, first_batch)

    def epochs(self, first: int) -> dict[str, Any] | None:
        return self._feed.epochs(first)
