"""What a member's accuracy would cost alone, read off between arms."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

GROWING = Path(__file__).resolve().parents[2] / "benchmarks" / "growing"


@pytest.fixture
def fair(monkeypatch):
    monkeypatch.syspath_prepend(str(GROWING))
    names = ("arms", "runs", "tables")
    return {name: importlib.import_module(f"fair.{name}") for name in names}


@pytest.fixture
def arms(fair):
    alone = fair["runs"].Spec("scaled", 0.01, network="eight", budget=1.0)
    arm = fair["arms"].Arm("alone", alone, seeds=1, rates=(0.01,))
    return [
        arm,
        replace(arm, spec=replace(alone, arm="family", sizes=(0.5, 1.0)), member=1),
        replace(arm, spec=replace(alone, budget=4.0)),
    ]


def results(arms, accuracy):
    """Alone 30 % for 100, and 40 % for 400; of the member, for 100."""

    def run(compute, accuracy):
        return {"compute": compute, "test": {"accuracy": accuracy}}

    runs = [run(100.0, 0.3), {"members": [{}, run(100.0, accuracy)]}, run(400.0, 0.4)]
    return {replace(arm.spec, seed=0).key: run for arm, run in zip(arms, runs)}


@pytest.mark.parametrize(
    ("accuracy", "told"),
    [(0.3, "1.00 times"), (0.35, "2.00 times"), (0.41, "more than 4")],
)
def test_it_is_read_off_between_arms(fair, arms, accuracy, told):
    found = fair["tables"].compute_alone(arms, results(arms, accuracy))
    assert told in found


def test_other_studies_have_none(fair, arms):
    alone, _, more = arms
    assert fair["tables"].compute_alone([alone, more], results(arms, 0.3)) is None
