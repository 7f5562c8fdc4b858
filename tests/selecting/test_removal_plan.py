"""Removals as plain data."""

import nets
import numpy as np
import pytest

from tf_splitting import RemovalPlan, SplitPlan, trace
from tf_splitting.errors import PlanError


def test_json_round_trip(tmp_path):
    plan = RemovalPlan({"first": [3, 0], "second": np.array([1])}, {"first": 4})
    plan.save(tmp_path / "plan.json")
    loaded = RemovalPlan.load(tmp_path / "plan.json")
    assert loaded == plan
    assert loaded.removals == {"first": [0, 3], "second": [1]}
    assert loaded.made_for == {"first": 4}


def test_length_widths_and_text():
    plan = RemovalPlan({"first": [0, 3], "second": []})
    assert len(plan) == 2
    graph = trace(nets.dense())
    assert plan.widths(graph) == {**graph.widths, "first": 2}
    assert "2 neurons less" in str(plan)
    assert "first: -2 [0, 3]" in str(plan)


@pytest.mark.parametrize("index", [-1, 1.5, "2", None])
def test_indices_are_natural_numbers(index):
    with pytest.raises(PlanError, match=r"removals\['first'\]\[0\]=.*; expected a"):
        RemovalPlan({"first": [index]})


def test_a_neuron_goes_once():
    with pytest.raises(PlanError, match=r"removals\['first'\]=\[0, 2, 2\]; expected"):
        RemovalPlan({"first": [2, 0, 2]})


def test_one_kind_of_plan_is_not_the_other(tmp_path):
    SplitPlan({"first": [0]}).save(tmp_path / "plan.json")
    with pytest.raises(PlanError, match=r'"removals"\. Write it with Remov'):
        RemovalPlan.load(tmp_path / "plan.json")
    assert RemovalPlan({"first": [0]}) != SplitPlan({"first": [0]})
