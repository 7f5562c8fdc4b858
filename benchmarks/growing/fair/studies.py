"""Which arms answer which question; the others are compared to the first of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fair.arms import FIRST_RATES, Arm
from fair.networks import NETWORKS
from fair.runs import ESTIMATORS, Spec
from fair.worth import redistributed

# The schedule of the library's defaults, spelled out: they may change, runs do not.
SCHEDULE = {
    "rounds": 3,
    "growing_share": 0.5,
    "decay": "last",
    "optimizer_state": "reset",
    "carried_kernels": "copy",
    "carried_scales": "copy",
}
# What its details were compared by, until the study of shares raised that of growth.
STUDIED = {**SCHEDULE, "growing_share": 0.3}
# The published procedure: copies along splitting directions, state carried over.
PUBLISHED = {**SCHEDULE, "epsilon": 0.5, "optimizer_state": "carry"}
# How networks are pruned.
SHRINKING = {
    "rounds": 3,
    "shrinking_share": 0.5,
    "decay": "last",
    "optimizer_state": "carry",
    "fold": True,
}
# How neurons are exchanged.
REALLOCATING = {
    "rounds": 3,
    "reallocating_share": 0.5,
    "moved": 0.25,
    "gain_step": 0.1,
    "decay": "last",
    "optimizer_state": "reset",
}
BY_SCORE = {
    "grown by the splitting index": "splitting",
    "grown where candidates gain most": "candidates",
    "grown where TINY's candidates do": "tiny",
    "grown by GradMax": "gradmax",
    "grown by Firefly": "firefly",
    "grown by signed splitting": "signed",
    "grown evenly": "uniform",
}


def scaled(name: str = "scaled, from scratch", **spec: Any) -> Arm:
    """The seed's proportions, or others, trained from scratch at the target."""
    return Arm(name, Spec("scaled", 0.0, **spec))


def grown(method: str, schedule: dict[str, Any] = SCHEDULE, **spec: Any) -> Arm:
    """Grown by a method."""
    name = next(name for name, its in BY_SCORE.items() if its == method)
    return Arm(name, Spec("grown", 0.0, growth={**schedule, "method": method}, **spec))


def shrunk(estimator: str, size: float, **spec: Any) -> Arm:
    """The seed's proportions, or others, pruned from a larger size."""
    return Arm(
        f"pruned from {size:g} times the MACs by {estimator}",
        Spec(
            "shrunk",
            0.0,
            size=size,
            growth={**SHRINKING, "estimator": estimator},
            **spec,
        ),
    )


def reallocated(schedule: dict[str, Any] = REALLOCATING, **spec: Any) -> Arm:
    """The seed's proportions, or others, scaled, and then moved to where they gain."""
    return Arm(
        "scaled, then reallocated", Spec("reallocated", 0.0, growth=schedule, **spec)
    )


def found(by: Arm, **spec: Any) -> Arm:
    """The widths that an arm ends with, trained from scratch."""
    return Arm(
        "the widths found, from scratch", Spec("scaled", 0.0, **spec), found_by=by
    )


SCALED, INDEX = scaled(), grown("splitting")
CANDIDATES = grown("candidates", STUDIED)
STUDIED_INDEX = grown("splitting", STUDIED)
TRAINED = grown("splitting", trained=True)


def sooner(**spec: Any) -> Arm:
    """Grown by the splitting index, the last time when 30 % of the compute is spent."""
    arm = grown("splitting", STUDIED, **spec)
    return replace(arm, name=f"{arm.name}, 30 % before the last split")


def of_shape(shape: str) -> list[Arm]:
    """A seed of other proportions: the same scaled, grown, and the widths found."""
    index = grown("splitting", shape=shape)
    widths = replace(found(index, shape=shape), seeds=3)
    return [scaled(shape=shape), index, sooner(shape=shape), widths]


# The rate that is best at the usual budget, for what is not tuned once more.
USUAL_RATE = 1.2e-2
# The rate that schedules and scores were compared at.
STUDIED_RATE = 6e-3


def once(arm: Arm, rate: float = USUAL_RATE, seeds: int = 3) -> Arm:
    """The arm at one rate."""
    return replace(arm, rates=(rate,), seeds=seeds)


def at_budgets(budgets: Sequence[float]) -> list[Arm]:
    """Scaled and grown at several budgets."""
    return [
        replace(once(arm), name=f"{arm.name}, {budget:g} epochs")
        for budget in budgets
        for arm in (scaled(budget=budget), grown("splitting", budget=budget))
    ]


def smaller(**spec: Any) -> list[Arm]:
    """Networks that cost less than the target, with the compute of those that do."""
    return [
        replace(scaled(f"scaled to {size:.0%} of the MACs", size=size, **spec), seeds=3)
        for size in (0.5, 0.25)
    ]


# What a user could do in place of growing, with the same compute: more steps of fewer
# images, and networks that cost less than the budget allows.
CONTROLS = [
    *(
        replace(scaled(f"scaled, batches of {size}", batch_size=size), seeds=3)
        for size in (32, 16)
    ),
    *smaller(),
]
# As many seconds as growing takes, or more: scaled, with more compute.
SLOWER = [
    once(scaled(f"scaled, {times} times the compute", budget=times * 2.4))
    for times in (2, 3)
]
# At 65 % of the usual budget; of a seed that is trained already, at half of it.
LESS = once(grown("splitting", budget=0.65 * 2.4), seeds=5)
TRAINED_LESS = grown("splitting", trained=True, budget=1.2)
# What the schedule could be in place of the usual one.
SCHEDULES: dict[str, dict[str, Any]] = {
    "state carried": {"optimizer_state": "carry"},
    "state of old neurons carried": {"optimizer_state": "old"},
    "kernels drawn": {"carried_kernels": "draw"},
    "scales drawn": {"carried_scales": "draw"},
    "a decay at every size": {"decay": "every"},
    "15 % of the compute before": {"growing_share": 0.15},
    "50 % of the compute before": {"growing_share": 0.5},
    "two rounds": {"rounds": 2, "max_growth": 4},
    "five rounds": {"rounds": 5},
    "at once": {"rounds": 1, "max_growth": 64, "growing_share": 0.12},
    "a warm-up after growth": {"warm_up": 200},
    "old neurons at a third of the rate": {"old_rate": 0.33},
}
# How much is spent before the last growth, and in how many rounds.
SHARES: dict[str, dict[str, Any]] = {
    f"{share:.0%} before, {rounds} rounds": {"growing_share": share, "rounds": rounds}
    for share in (0.5, 0.7)
    for rounds in (3, 5)
}
# The same of a seed that is trained already.
TRAINED_SCHEDULES: dict[str, dict[str, Any]] = {
    "no training before the last split": {"growing_share": 0.0},
    "at once": {"rounds": 1, "max_growth": 64, "growing_share": 0.0},
    "scales drawn": {"carried_scales": "draw"},
    "kernels drawn": {"carried_kernels": "draw"},
}


def scheduled(
    settings: dict[str, dict[str, Any]], rate: float = STUDIED_RATE, **spec: Any
) -> list[Arm]:
    """Grown by the default method, by the schedule of the studies and by others."""
    usual: dict[str, dict[str, Any]] = {"30 % before, 3 rounds": {}}
    return [
        replace(once(grown("splitting", {**STUDIED, **its}, **spec), rate), name=name)
        for name, its in {**usual, **settings}.items()
    ]


# Networks from scratch around the seed's shape, scaled: what each width is worth.
REDISTRIBUTED, WORTH_BUDGET = 40, 1.2


def redistributions(shape: str) -> list[Arm]:
    """Random proportions around a shape's, once each, for half the usual budget."""
    seed = NETWORKS["eight"].seeds[shape]
    return [
        once(
            scaled(f"redistribution {n}", widths=widths, budget=WORTH_BUDGET),
            seeds=1,
        )
        for n, widths in enumerate(redistributed(seed, REDISTRIBUTED))
    ]


def of_network(network: str, seeds: int = 3) -> list[Arm]:
    """Another network: its seed scaled, to less too, and grown, tuned by one seed."""
    arms = [
        scaled(network=network),
        *smaller(network=network),
        grown("splitting", network=network),
    ]
    return [replace(arm, seeds=seeds, tuning_seeds=(0,)) for arm in arms]


# Transformers take smaller steps than networks with batch normalization.
TRANSFORMER = [
    replace(arm, seeds=3, tuning_seeds=(0,), rates=(1.5e-3, 3e-3, 6e-3))
    for arm in (
        scaled(network="transformer"),
        grown("splitting", network="transformer"),
        grown("uniform", network="transformer"),
    )
]


def long(arm: Arm, seeds: int = 3) -> Arm:
    """The arm with ten times the usual budget, tuned by one seed."""
    spec = replace(arm.spec, budget=24.0)
    return replace(arm, spec=spec, seeds=seeds, tuning_seeds=(0,))


# A family's sizes, as shares of the largest.
SIZES = (0.25, 0.4, 0.63, 1.0)
# What it takes of the compute that its members would take if each were grown alone.
SHARED = 0.75


def family(
    network: str,
    epochs: float,
    times: tuple[float, ...],
    rates: tuple[float, ...] = FIRST_RATES,
) -> dict[str, list[Arm]]:
    """For each size: scaled, with the compute of the family's member; the member; and
    scaled, with less and with more.

    Args:
        network: of `NETWORKS`.
        epochs: training of each, as epochs of itself.
        times: how much less and more.
        rates: of the first two; the others have the usual one.
    """
    growth = {**SCHEDULE, "rounds": 1, "method": "splitting"}
    spec = Spec("family", 0.0, network=network, budget=epochs, sizes=SIZES)
    tuned: dict[str, Any] = {"seeds": 3, "tuning_seeds": (0,), "rates": rates}
    grown = Arm("", replace(spec, growth=growth), **tuned)
    studies = {}
    for number, size in enumerate(SIZES):
        spec = Spec("scaled", 0.0, network=network, size=size, budget=epochs * size)
        alone = Arm("scaled, as much for each", spec, **tuned)
        name = "family" if network == "eight" else f"family of {network}"
        studies[f"{name}, {size:.0%}"] = [
            alone,
            replace(grown, name="member of the family", member=number),
            *(
                once(
                    replace(
                        alone,
                        name=f"scaled, {factor:g} times that",
                        spec=replace(spec, budget=factor * spec.budget),
                    )
                )
                for factor in times
            ),
        ]
    return studies


def at_rates(rates: tuple[float, ...], network: str, epochs: float) -> list[Arm]:
    """A family's smallest and largest size, scaled: whether one rate is fair to both.

    Args:
        rates: to compare.
        network: of `NETWORKS`.
        epochs: training of each, as epochs of itself.
    """
    return [
        once(
            scaled(
                f"scaled to {size:.0%}, rate {rate:g}",
                network=network,
                size=size,
                budget=epochs * size,
            ),
            rate,
            seeds=1,
        )
        for size in (SIZES[0], SIZES[-1])
        for rate in rates
    ]


BUDGETS = (0.6, 1.2)
CURVE = at_budgets(BUDGETS)
VGG = of_network("vgg")
# Accuracy against compute: title, and lines of arms.
PANELS = (
    (
        "1.5 M MACs, depthwise",
        (
            ("scaled", [*CURVE[::2], SCALED]),
            ("grown", [*CURVE[1::2], LESS, INDEX]),
            ("a quarter as large", CONTROLS[-1:]),
        ),
    ),
    (
        "21 M MACs, 3 x 3",
        (
            ("scaled", VGG[:1]),
            ("grown", VGG[-1:]),
            ("a quarter as large", VGG[2:3]),
        ),
    ),
)
STUDIES: dict[str, list[Arm]] = {
    "index": [SCALED, INDEX],
    "controls": [SCALED, *CONTROLS, INDEX],
    "less": [SCALED, LESS],
    "vgg": VGG,
    "transformer": TRANSFORMER,
    "evenly": [SCALED, grown("uniform")],
    "published": [SCALED, replace(grown("splitting", PUBLISHED), name="as published")],
    "candidates": [SCALED, CANDIDATES],
    "flat candidates": [
        scaled(shape="flat"),
        grown("candidates", STUDIED, shape="flat"),
    ],
    "studied index": [SCALED, STUDIED_INDEX, found(STUDIED_INDEX)],
    "flat": of_shape("flat"),
    "front": of_shape("front"),
    "behind": of_shape("behind"),
    "trained": [SCALED, TRAINED, sooner(trained=True)],
    "trained less": [SCALED, TRAINED_LESS],
    "scores": [
        once(grown(method, STUDIED), STUDIED_RATE) for method in BY_SCORE.values()
    ],
    "curve": CURVE,
    "long": [long(SCALED), long(INDEX)],
    "long, evenly": [long(SCALED), long(grown("uniform"))],
    "seconds": [INDEX, *SLOWER],
    "schedules": scheduled(SCHEDULES),
    "shares": scheduled(SHARES, 1.2e-2),
    "shares, slower": scheduled(SHARES),
    "pruned": [SCALED, *(shrunk("second order", size) for size in (2.0, 4.0))],
    "pruned by": [shrunk(estimator, 2.0) for estimator in ESTIMATORS],
    **{
        f"reallocated {shape}": [scaled(shape=shape), reallocated(shape=shape)]
        for shape in ("flat", "front", "behind")
    },
    "trained schedules": scheduled(TRAINED_SCHEDULES, trained=True),
    **family("eight", 2.4, (SHARED, 2, 4)),
    **family("paper", 3.0, (SHARED, 1.5), (USUAL_RATE,)),
    "family of paper, rates": at_rates((6e-3, USUAL_RATE, 2.4e-2), "paper", 3.0),
}
# Studies whose arms are redistributions, and those who found widths of that shape.
WORTH: dict[str, tuple[list[Arm], list[Arm]]] = {
    f"worth {shape}": (
        redistributions(shape),
        STUDIES["scores"] if shape == "tapered" else of_shape(shape)[1:3],
    )
    for shape in NETWORKS["eight"].seeds
}
