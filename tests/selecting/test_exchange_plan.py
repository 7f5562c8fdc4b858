"""`ExchangePlan`: plain data, checked against a graph, applied in two steps."""

import json

import nets
import numpy as np
import pytest

from tf_splitting import (
    ExchangePlan,
    RemovalPlan,
    SplitPlan,
    count_macs,
    remove,
    split,
    trace,
)
from tf_splitting.costs.base import total
from tf_splitting.costs.macs import macs_terms
from tf_splitting.errors import PlanError


def plan_for(graph):
    """Takes a neuron from the first space that has one to spare, splits the last."""
    shrinks = next(s for s in graph.growable if s.width > graph.floors[s.name])
    grows = graph.growable[-1]
    assert shrinks is not grows
    return ExchangePlan(
        RemovalPlan({shrinks.name: [1]}, graph.widths),
        SplitPlan({grows.name: [0, 1]}, made_for=graph.widths),
    )


@pytest.mark.parametrize("name", ["conv_bn", "residual", "squeeze_excite"])
def test_both_parts_apply_in_turn(name):
    model = nets.ready(name)
    graph = trace(model)
    plan = plan_for(graph)
    plan.check(graph)
    smaller = remove(model, plan.removals)
    x = nets.images(model)
    result = split(smaller, plan.splits_after(graph), epsilon="fresh", verify=x)
    assert trace(result).widths == plan.widths(graph)
    assert count_macs(result) == total(macs_terms(graph), plan.widths(graph))
    np.testing.assert_allclose(
        nets.outputs(result, x), nets.outputs(smaller, x), atol=1e-5
    )


def test_there_and_back(tmp_path):
    plan = plan_for(trace(nets.conv_bn()))
    path = tmp_path / "plan.json"
    plan.save(path)
    again = ExchangePlan.load(path)
    assert again == plan
    assert again.removals.made_for == plan.removals.made_for
    assert again.splits.made_for == plan.splits.made_for
    assert len(plan) == 3
    assert "1 neurons less" in str(plan)
    assert "2 new neurons" in str(plan)
    assert len(ExchangePlan()) == 0


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        json.dumps({"format": 1, "exchange": {}}),
        json.dumps({"format": 1, "exchange": {"removals": 1, "splits": 2}}),
        RemovalPlan({"conv": [0]}).to_json(),
    ],
)
def test_other_text_is_refused(text):
    with pytest.raises(PlanError, match=r"as JSON text|expected a JSON object"):
        ExchangePlan.from_json(text)


def test_a_space_does_one_of_the_two():
    with pytest.raises(PlanError, match=r"both removes and splits .* 'conv'"):
        ExchangePlan(RemovalPlan({"conv": [0]}), SplitPlan({"conv": [1]}))
    with pytest.raises(PlanError, match="expected a RemovalPlan"):
        ExchangePlan({"conv": [0]}, SplitPlan())


def test_it_fits_its_model_only():
    graph = trace(nets.conv_bn())
    plan = plan_for(graph)
    with pytest.raises(PlanError):
        plan.check(trace(nets.residual()))
    far = ExchangePlan(splits=SplitPlan({graph.growable[0].name: [99]}))
    with pytest.raises(PlanError, match="neuron 99"):
        far.check(graph)
