"""Plans as plain data."""

import nets
import numpy as np
import pytest

from tf_splitting import SplitPlan, trace
from tf_splitting.errors import PlanError


def test_json_round_trip(tmp_path):
    plan = SplitPlan({"first": [0, 3, 3], "second": np.array([1])})
    plan.save(tmp_path / "plan.json")
    assert SplitPlan.load(tmp_path / "plan.json") == plan
    assert SplitPlan.from_json(plan.to_json()).splits["second"] == [1]


def test_length_widths_and_text():
    plan = SplitPlan({"first": [0, 3, 3], "second": []})
    assert len(plan) == 3
    graph = trace(nets.dense())
    assert plan.widths(graph) == {**graph.widths, "first": 7}
    assert "3 new neurons" in str(plan)
    assert "first: +3 [0, 3, 3]" in str(plan)


@pytest.mark.parametrize("index", [-1, 1.5, "2", None])
def test_indices_are_natural_numbers(index):
    with pytest.raises(PlanError, match="'first'; expected an integer"):
        SplitPlan({"first": [index]})


def test_a_list_is_no_plan():
    with pytest.raises(PlanError, match="expected a mapping"):
        SplitPlan([1, 2])


@pytest.mark.parametrize("text", ["no json", "[]", '{"splits": {}}', '{"format": 9}'])
def test_other_text_is_refused(text):
    with pytest.raises(PlanError):
        SplitPlan.from_json(text)


@pytest.mark.parametrize(
    ("splits", "words"),
    [
        ({"other": [0]}, "no channel space 'other'"),
        ({"logits": [0]}, "frozen because it is an output"),
        ({"first": [4]}, "neuron 4 of space 'first', which has 4"),
    ],
)
def test_plans_that_do_not_fit_are_refused(splits, words):
    with pytest.raises(PlanError, match=words):
        SplitPlan(splits).check(trace(nets.dense()))
