"""`select_removals`: what costs least goes first, and targets are met."""

import math

import nets
import numpy as np
import pytest
import tiers

from tf_splitting import count_macs, count_params, remove, select_removals, trace
from tf_splitting.costs.base import total
from tf_splitting.costs.macs import macs_terms
from tf_splitting.errors import BudgetError, ModelError, PlanError, UnknownNameError

NETS = ("dense", "conv_bn", "depthwise", "residual", "squeeze_excite", "concatenate")


def random_scores(graph, seed=0):
    generator = np.random.default_rng(seed)
    return {s.name: generator.uniform(0.1, 1, s.width) for s in graph.growable}


def wide(name):
    """A net with enough neurons for multiples and floors to matter."""
    from tf_splitting import SplitPlan, split

    model = nets.ready(name)
    every = {s.name: [*range(s.width)] * 3 for s in trace(model).growable}
    return split(model, SplitPlan(every), epsilon="fresh")


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("share", tiers.some([0.9, 0.6, 0.3], [0.6]))
def test_the_target_is_met_and_used(name, share):
    model = wide(name)
    graph = trace(model)
    scores = random_scores(graph)
    target = share * count_macs(model)
    plan = select_removals(scores, graph, target_macs=target)
    plan.check(graph)
    assert count_macs(remove(model, plan)) <= target
    # None of the neurons removed could come back.
    widths = plan.widths(graph)
    for space in plan.removals:
        one_more = {**widths, space: widths[space] + 1}
        assert total(macs_terms(graph), one_more) > target


@pytest.mark.parametrize("name", NETS)
def test_the_cheapest_neurons_of_a_space_go(name):
    model = wide(name)
    graph = trace(model)
    scores = random_scores(graph, seed=1)
    plan = select_removals(scores, graph, target_macs=0.5 * count_macs(model))
    assert len(plan) > 3
    for space, indices in plan.removals.items():
        stays = np.delete(scores[space], indices)
        assert scores[space][indices].max() <= stays.min()


def test_cost_per_macs_decides():
    """Of two spaces with alike costs that goes whose neurons free more."""
    graph = trace(nets.dense())
    scores = {s.name: np.full(s.width, 1.0) for s in graph.growable}
    freed = {}
    terms = macs_terms(graph)
    for space in graph.growable:
        less = {**graph.widths, space.name: space.width - 1}
        freed[space.name] = total(terms, graph.widths) - total(terms, less)
    best = max(freed, key=freed.get)
    other = min(freed, key=freed.get)
    assert freed[best] > freed[other]
    target = total(terms, graph.widths) - 1
    assert list(select_removals(scores, graph, target_macs=target).removals) == [best]
    scores[best] = scores[best] * 1.01 * freed[best] / freed[other]
    assert list(select_removals(scores, graph, target_macs=target).removals) == [other]


def test_neurons_that_do_harm_go_first_and_stay_away():
    model = wide("dense")
    graph = trace(model)
    scores = random_scores(graph)
    scores["first"][5] = -0.1
    plan = select_removals(scores, graph, target_macs=count_macs(model) - 1)
    assert plan.removals == {"first": [5]}


def test_nothing_goes_where_nothing_has_to():
    model = nets.dense()
    graph = trace(model)
    scores = random_scores(graph)
    assert len(select_removals(scores, graph, target_macs=count_macs(model))) == 0
    assert len(select_removals(scores, graph)) == 0


def test_limits_on_widths_are_kept():
    model = wide("dense")
    graph = trace(model)
    plan = select_removals(
        random_scores(graph),
        graph,
        target_macs=0.5 * count_macs(model),
        width_multiple=3,
        min_widths={"first": 8},
        max_shrinkage=4,
    )
    widths = plan.widths(graph)
    assert widths["first"] >= 8
    for space in graph.growable:
        assert widths[space.name] >= space.width / 4
        if space.name in plan.removals:
            assert widths[space.name] % 3 == 0


def test_neurons_of_infinite_cost_stay():
    model = wide("dense")
    graph = trace(model)
    scores = random_scores(graph)
    scores["first"][:] = math.inf
    plan = select_removals(scores, graph, target_macs=0.7 * count_macs(model))
    assert "first" not in plan.removals


def test_other_costs():
    model = wide("conv_bn")
    graph = trace(model)
    scores = random_scores(graph)
    target = 0.5 * count_params(model)
    plan = select_removals(scores, graph, cost="params", target_cost=target)
    assert count_params(remove(model, plan)) <= target

    def widest(graph, widths):
        return max(widths[s.name] for s in graph.growable)

    plan = select_removals(scores, graph, cost=widest, target_cost=9)
    assert widest(graph, plan.widths(graph)) == 9


def test_targets_that_cannot_be_met():
    model = nets.dense()
    graph = trace(model)
    with pytest.raises(
        BudgetError, match=r"cannot be met: .* macs of \d+ where 3 were"
    ):
        select_removals(random_scores(graph), graph, target_macs=3)
    scores, target = random_scores(graph), count_macs(model) - 1
    with pytest.raises(BudgetError, match="lower min_widths"):
        select_removals(scores, graph, target_macs=target, max_shrinkage=1.01)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"scores": {"first": np.ones(7)}}, PlanError, "array of 4 numbers"),
        ({"scores": {"first": np.full(4, np.nan)}}, PlanError, "array of 4 numbers"),
        ({"scores": {"nowhere": np.ones(4)}}, PlanError, "no channel space"),
        ({"scores": [1]}, PlanError, "a mapping from space names to costs"),
        ({"graph": None}, PlanError, "a ChannelGraph"),
        ({"min_widths": 0}, PlanError, "min_widths"),
        ({"min_widths": {"first": 5}}, PlanError, "expected 4 at most"),
        ({"max_shrinkage": 1}, PlanError, "max_shrinkage"),
        ({"width_multiple": 0}, PlanError, "width_multiple"),
        ({"cost": "joules"}, UnknownNameError, "joules"),
        ({"target_macs": "few"}, PlanError, "target_macs"),
    ],
)
def test_bad_input(change, error, message):
    graph = trace(nets.dense())
    arguments = {"scores": random_scores(graph), "graph": graph, **change}
    with pytest.raises(error, match=message):
        select_removals(arguments.pop("scores"), arguments.pop("graph"), **arguments)


def test_macs_that_nobody_knows():
    import keras
    from keras import layers

    inputs = keras.Input((None, None, 2))
    x = layers.Conv2D(4, 3, name="first")(inputs)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(x))
    graph = trace(keras.Model(inputs, x))
    with pytest.raises(ModelError):
        select_removals(random_scores(graph), graph, target_macs=10)
