"""Greedy selection against brute force, and its limits."""

import itertools

import nets
import numpy as np
import pytest

from tf_splitting import SplitPlan, count_macs, select, split, trace
from tf_splitting.costs.registry import COSTS
from tf_splitting.errors import BudgetError, PlanError
from tf_splitting.estimating.scores import SpaceScores
from tf_splitting.selecting import gains_of

MODELS = ("dense", "depthwise", "residual", "concatenate", "flatten")


def gains(graph, seed=0, positive=True):
    generator = np.random.default_rng(seed)
    scores = {}
    for space in graph.growable:
        gain = generator.uniform(0.1 if positive else -1, 1, space.width)
        scores[space.name] = SpaceScores(-gain, gain, {}, {})
    return scores


def total(plan, scores):
    return sum(scores[s].gain[i].sum() for s, i in plan.splits.items())


def all_plans(graph):
    """Every plan that splits each neuron at most once."""
    names = [(s.name, i) for s in graph.growable for i in range(s.width)]
    for size in range(len(names) + 1):
        for chosen in itertools.combinations(names, size):
            splits = {}
            for space, index in chosen:
                splits.setdefault(space, []).append(index)
            yield SplitPlan(splits)


@pytest.mark.parametrize("budget", [0, 1, 3, 7])
def test_at_unit_price_greedy_is_optimal(budget):
    graph = trace(nets.conv_bn())
    scores = gains(graph, budget)

    def neurons(graph, widths):
        return sum(widths.values())

    limit = neurons(graph, graph.widths) + budget
    plan = select(scores, graph, target_macs=1e9, cost=neurons, target_cost=limit)
    best = max(total(p, scores) for p in all_plans(graph) if len(p) <= budget)
    assert len(plan) == budget
    assert total(plan, scores) == pytest.approx(best)


@pytest.mark.parametrize("seed", range(4))
def test_macs_greedy_misses_the_optimum_by_less_than_one_neuron(seed):
    """The bound of a greedy knapsack, up to the interaction of the two widths."""
    graph = trace(nets.conv_bn())
    scores = gains(graph, seed)
    macs = COSTS["macs"]
    target = 1.5 * macs(graph, graph.widths)
    plan = select(scores, graph, target_macs=target)
    best = max(
        total(p, scores)
        for p in all_plans(graph)
        if macs(graph, p.widths(graph)) <= target
    )
    assert best - 1 <= total(plan, scores) <= best + 1e-12


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("ratio", [1.0, 1.1, 1.6, 2.5])
def test_the_rebuilt_model_has_the_planned_macs_within_budget(name, ratio):
    model = nets.ALL[name]()
    graph = trace(model)
    target = ratio * count_macs(model)
    plan = select(gains(graph), graph, target_macs=target)
    macs = count_macs(split(model, plan))
    assert macs == COSTS["macs"](graph, plan.widths(graph))
    assert macs <= target
    # Nothing that still fits is left: every further neuron would exceed the budget.
    for space in graph.growable:
        widths = plan.widths(graph)
        if widths[space.name] < 2 * space.width:
            widths[space.name] += 1
            assert COSTS["macs"](graph, widths) > target


def test_only_neurons_that_gain_are_split():
    graph = trace(nets.dense())
    scores = gains(graph, positive=False)
    plan = select(scores, graph, target_macs=1e9)
    for space, score in scores.items():
        expected = np.flatnonzero(score.gain > 0).tolist()
        assert plan.splits.get(space, []) == expected


def test_the_best_neurons_of_a_space_come_first():
    graph = trace(nets.dense())
    gain = np.array([0.1, 0.4, 0.3, 0.2])
    scores = {"first": SpaceScores(-gain, gain, {}, {})}
    macs = COSTS["macs"](graph, graph.widths)
    plan = select(scores, graph, target_macs=macs + 2 * (5 + 6))
    assert plan.splits == {"first": [1, 2]}


def test_gain_per_price_decides():
    """A cheap neuron of less gain is preferred: 5 + 6 MACs against 4 + 3."""
    graph = trace(nets.dense())
    scores = {
        name: SpaceScores(-gain, gain, {}, {})
        for name, gain in (
            ("first", np.array([1.0, 0, 0, 0])),
            ("second", np.array([0.7, 0, 0, 0, 0, 0])),
        )
    }
    macs = COSTS["macs"](graph, graph.widths)
    plan = select(scores, graph, target_macs=macs + 11)
    assert plan.splits == {"second": [0]}  # 0.1 a MAC against 0.09


def test_parameters_as_cost():
    model = nets.depthwise()
    graph = trace(model)
    params = COSTS["params"]
    limit = params(graph, graph.widths) + 40
    plan = select(
        gains(graph), graph, target_macs=1e9, cost="params", target_cost=limit
    )
    grown = split(model, plan)
    assert 0 < grown.count_params() - model.count_params() <= 40


@pytest.mark.parametrize("multiple", [2, 3, 4])
def test_width_multiples(multiple):
    graph = trace(nets.dense())
    widths = select(
        gains(graph), graph, target_macs=200, width_multiple=multiple
    ).widths(graph)
    changed = [n for n in widths if widths[n] != graph.widths[n]]
    assert changed
    assert all(widths[name] % multiple == 0 for name in changed)


def test_limits_on_widths():
    graph = trace(nets.dense())
    scores = gains(graph)

    def widths(**limits):
        found = select(scores, graph, target_macs=1e9, **limits).widths(graph)
        return found["first"], found["second"]

    assert widths() == (8, 12)
    assert widths(max_widths=7) == (7, 7)
    assert widths(max_widths={"second": 8}) == (8, 8)
    assert widths(max_growth=1.5) == (6, 9)
    assert widths(max_growth=1.2) == (4, 7)
    assert widths(max_widths=3) == (4, 6)


def test_arguments_out_of_range():
    graph = trace(nets.dense())
    scores = gains(graph)
    with pytest.raises(BudgetError, match=r"macs are 62 already"):
        select(scores, graph, target_macs=61)
    with pytest.raises(PlanError, match="width_multiple=0"):
        select(scores, graph, target_macs=99, width_multiple=0)
    with pytest.raises(PlanError, match="max_growth=1"):
        select(scores, graph, target_macs=99, max_growth=1)
    scores["first"] = scores["second"]
    with pytest.raises(PlanError, match=r"hold 6 neurons for space 'first'.*has 4"):
        select(scores, graph, target_macs=99)


def test_a_parent_of_several_is_taken_as_often_as_it_gains():
    graph = trace(nets.dense())
    first = SpaceScores(np.zeros(4), np.array([3.0, 1.0, 0.1, -1.0]), {}, {})
    second = SpaceScores(np.zeros(6), np.zeros(6), {}, {})
    scores = {"first": first.repeated(3), "second": second}
    # Twice and thrice the same parent for a half and a third of its gain.
    expected = [3.0, 1.0, 0.1, -1.0, 1.5, 0.5, 0.05, -0.5, 1.0, 1 / 3, 0.1 / 3, -1 / 3]
    np.testing.assert_allclose(scores["first"].gain, expected)
    # Room for four: gains 3, 1.5, and one each of both parents.
    plan = select(scores, graph, target_macs=1e9, max_growth=2.0)
    assert plan.splits == {"first": [0, 0, 0, 1]}
    assert sum(gains_of(plan, scores).values()) == pytest.approx(3 + 1.5 + 1 + 1)
    plan = select(scores, graph, target_macs=1e9, max_growth=100)
    assert plan.splits == {"first": [0, 0, 0, 1, 1, 1, 2, 2, 2]}


@pytest.mark.parametrize(
    "parents", [np.zeros(3, int), np.zeros(8), [0] * 8, np.full(8, 4), np.full(8, -1)]
)
def test_parents_that_are_none_are_refused(parents):
    graph = trace(nets.dense())
    scores = {"first": SpaceScores(np.zeros(4), np.ones(8), {}, {}, parents=parents)}
    with pytest.raises(PlanError, match=r"'first'"):
        select(scores, graph, target_macs=1e9)
