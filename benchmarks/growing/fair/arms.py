"""An arm: one way to train, its learning rate tuned, run with several seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fair.runs import Spec

FIRST_RATES = (6e-3, 1.2e-2, 2.4e-2)
TUNING_SEEDS = (0, 1)
Run = dict[str, Any]
# Runs by specification.
Results = Mapping[str, Run]


@dataclass(frozen=True)
class Arm:
    """One way to train, compared with others.

    The learning rate is the one that is best on images held out, over factors of two
    until the best is inside the grid.

    Attributes:
        name: in the tables.
        spec: its rate and seed do not count.
        seeds: how many are run at the best rate.
        rates: the grid to begin with; one rate alone is taken as it is.
        tuning_seeds: that rates are compared by.
        member: of a family's runs, the one that is measured.
        found_by: an arm whose widths, seed by seed, are trained from scratch.
    """

    name: str
    spec: Spec
    seeds: int = 5
    rates: tuple[float, ...] = FIRST_RATES
    tuning_seeds: tuple[int, ...] = TUNING_SEEDS
    member: int | None = None
    found_by: Arm | None = None

    def runs(self, results: Results) -> Iterator[Spec]:
        """The runs that are needed, in order; those that are there too.

        Which come after some that are missing may not be known yet.
        """
        if self.found_by is not None:
            yield from self.found_by.runs(results)
        rate, needed = self._tuned(results)
        yield from needed
        if rate is not None:
            yield from self._specs(results, rate, range(self.seeds))

    def measured(self, results: Results) -> list[Run]:
        """What is there of the runs at the best rate, by seed."""
        rate, _ = self._tuned(results)
        if rate is None:
            return []
        specs = self._specs(results, rate, range(self.seeds))
        runs = [results[spec.key] for spec in specs if spec.key in results]
        if self.member is None:
            return runs
        return [{**run, **run["members"][self.member]} for run in runs]

    def _specs(self, results: Results, rate: float, seeds: Sequence[int]) -> list[Spec]:
        """The runs at a rate, but for those whose widths are not known yet."""
        if self.found_by is None:
            return [replace(self.spec, rate=rate, seed=seed) for seed in seeds]
        found = {
            run["spec"]["seed"]: tuple(run["widths"])
            for run in self.found_by.measured(results)
        }
        return [
            replace(self.spec, rate=rate, seed=seed, widths=found[seed])
            for seed in seeds
            if seed in found
        ]

    def _tuned(self, results: Results) -> tuple[float | None, list[Spec]]:
        """The best rate, if it is known, and the runs that are needed to know it."""
        if len(self.rates) == 1:
            return self.rates[0], []
        rates, losses = sorted(self.rates), {}
        while True:
            needed = []
            for rate in rates:
                specs = self._specs(results, rate, self.tuning_seeds)
                needed += specs
                there = [results[s.key] for s in specs if s.key in results]
                if len(there) == len(self.tuning_seeds):
                    losses[rate] = statistics.mean(r["held_out"]["loss"] for r in there)
            needed.sort(key=lambda spec: spec.seed)
            if len(losses) < len(rates):
                return None, needed
            best = min(rates, key=losses.__getitem__)
            if best not in (rates[0], rates[-1]):
                return best, needed
            rates = [best / 2, *rates] if best == rates[0] else [*rates, best * 2]
