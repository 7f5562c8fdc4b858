"""Plans as plain data."""

import errno

import nets
import numpy as np
import pytest

from tf_splitting import SplitPlan, methods, select, split, trace
from tf_splitting.data.sampling import draw_sample
from tf_splitting.errors import PlanError
from tf_splitting.estimating.directions import Directions
from tf_splitting.estimating.scores import SpaceScores

pytestmark = pytest.mark.core


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
    with pytest.raises(PlanError, match=r"splits\['first'\]\[0\]=.*; expected a whole"):
        SplitPlan({"first": [index]})


def test_a_list_is_no_plan():
    with pytest.raises(PlanError, match="expected a mapping"):
        SplitPlan([1, 2])


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        "null",
        "1" * 5000,
        "[" * 100_000,
        '{"splits": {}}',
        '{"format": 9}',
        '{"format": 1}',
        '{"format": 1, "splits": null}',
        '{"format": 1, "splits": {"first": 3}}',
        '{"format": 1, "splits": {"first": ["a"]}}',
        '{"format": 1, "splits": {}, "made_for": {"first": 0}}',
        '{"format": 1, "splits": {}, "made_for": []}',
        '{"format": 1, "splits": {}, "directions": {"first": {}}}',
        '{"format": 1, "splits": {}, "directions": {"first": {"incoming": 1}}}',
    ],
)
def test_other_text_is_refused(text, tmp_path):
    with pytest.raises(PlanError):
        SplitPlan.from_json(text)
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(PlanError):
        SplitPlan.load(tmp_path / "plan.json")


def test_files_that_cannot_be_read_or_written_are_refused(tmp_path):
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\xfa")
    for name in ("none.json", ".", "bytes.json", "bytes.json/below"):
        with pytest.raises(PlanError, match="No plan can be read"):
            SplitPlan.load(tmp_path / name)
    with pytest.raises(PlanError, match="cannot be written"):
        SplitPlan({}).save(tmp_path / "bytes.json" / "below")


def test_a_full_disk_is_no_mistake_of_the_plan(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        SplitPlan({}).save(tmp_path / "plan.json")


def level(graph):
    """The same gain for every neuron."""
    return {
        space.name: SpaceScores(-np.ones(space.width), np.ones(space.width), {}, {})
        for space in graph.growable
    }


def test_a_plan_knows_what_it_was_made_for(tmp_path):
    model = nets.ready("dense")
    plan = select(level(trace(model)), trace(model), target_macs=100)
    assert plan.made_for == {"first": 4, "second": 6}
    plan.save(tmp_path / "plan.json")
    loaded = SplitPlan.load(tmp_path / "plan.json")
    assert loaded == plan
    assert loaded.made_for == plan.made_for
    assert plan.with_directions(level(trace(model))).made_for == plan.made_for
    grown = split(model, loaded)
    with pytest.raises(PlanError, match=r"space '\w+' has \d neurons.*has \d"):
        split(grown, loaded)
    # By hand it still goes.
    split(grown, SplitPlan(loaded.splits))


@pytest.mark.parametrize("method", [methods.Splitting(), methods.Uniform()])
def test_plans_of_methods_know_it_too(method):
    model = nets.ready("dense")
    context = methods.Round(
        model,
        trace(model),
        draw_sample(nets.data(model), size=8),
        {"target_macs": 100},
        seed=0,
        verbose=0,
    )
    assert method.propose(context).plan.made_for == {"first": 4, "second": 6}


def test_another_width_is_refused_though_the_indices_fit():
    graph = trace(nets.dense())
    SplitPlan({"first": [0]}, made_for={"first": 4}).check(graph)
    with pytest.raises(PlanError, match=r"'second' has 7 neurons.*'dense' has 6"):
        SplitPlan({"first": [0]}, made_for={"second": 7}).check(graph)
    with pytest.raises(PlanError, match="no channel space 'third'"):
        SplitPlan({"first": [0]}, made_for={"third": 4}).check(graph)


def test_what_a_plan_was_made_for_does_not_make_it_another():
    assert SplitPlan({"a": [0]}, made_for={"a": 3}) == SplitPlan({"a": [0]})
    assert "made_for" not in SplitPlan({"a": [0]}).to_json()


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([np.nan]), [1.0], None])
def test_directions_are_finite_arrays(array):
    with pytest.raises(PlanError, match=r"directions\['first'\].incoming\['k'\]"):
        SplitPlan({"first": [0]}, {"first": Directions({"k": array}, {})})


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
