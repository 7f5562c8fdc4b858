"""What every cost by name must do. A new one is one row in COUNTED."""

import nets
import pytest

from tf_splitting import count_macs, count_params, split, trace
from tf_splitting.costs import COSTS, get_cost
from tf_splitting.estimating import SpaceScores
from tf_splitting.selecting import select

pytestmark = pytest.mark.core

# The cost of a model that is there, counted in another way than from its graph.
COUNTED = {"macs": count_macs, "params": count_params}
each = pytest.mark.parametrize("name", COUNTED)


def test_every_cost_has_a_row():
    assert COUNTED.keys() == COSTS.keys()
    assert all(cost.name == name for name, cost in COSTS.items())


@each
@pytest.mark.parametrize("net", nets.ALL)
def test_what_growing_costs_is_that_of_the_rebuilt_model(name, net):
    model = nets.ALL[net]()
    graph = trace(model)
    plan = nets.random_plan(graph, share=0.5)
    cost, counted = get_cost(name), COUNTED[name]
    planned = cost(graph, plan.widths(graph)) - cost(graph, graph.widths)
    assert planned == counted(split(model, plan)) - counted(model)


@each
@pytest.mark.parametrize("net", ["residual", "dense_block", "squeeze_excite"])
def test_it_never_falls_when_a_width_grows(name, net):
    graph = trace(nets.ALL[net]())
    cost = get_cost(name)
    now = cost(graph, graph.widths)
    for space in graph.growable:
        assert cost(graph, graph.resized({space.name: space.width + 1})) >= now


@each
def test_selection_keeps_to_it(name):
    graph = trace(nets.residual())
    cost = get_cost(name)
    limit = 1.3 * cost(graph, graph.widths)
    scores = {
        s.name: SpaceScores(-nets.np.ones(s.width), nets.np.ones(s.width), {}, {})
        for s in graph.growable
    }
    plan = select(scores, graph, target_macs=1e9, cost=name, target_cost=limit)
    assert len(plan) > 0
    assert cost(graph, plan.widths(graph)) <= limit
