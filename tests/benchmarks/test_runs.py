"""`benchmarks/shared.py`: runs are kept, found again, and survive being killed."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def shared(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("shared")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results" / "runs.jsonl"


def measure_all(shared, path, arms):
    """What scripts do: every arm that is not there. Returns those it measured."""
    runs, measured = shared.Runs(path), []
    for arm in arms:
        if not runs.where(arm=arm, seed=0):
            runs.add({"arm": arm, "seed": 0})
            measured.append(arm)
    return measured


def test_a_run_is_a_line_as_soon_as_it_is_added(shared, path):
    runs = shared.Runs(path)
    runs.add({"arm": "one", "λ": {0.1: (1, 2)}})
    assert path.read_text("utf-8") == '{"arm": "one", "λ": {"0.1": [1, 2]}}\n'
    runs.add({"arm": "two"})
    assert [json.loads(line)["arm"] for line in path.read_text().splitlines()] == [
        "one",
        "two",
    ]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_run_reads_as_it_was_when_added(shared, path):
    added = shared.Runs(path).add({"λ": {0.1: (1, 2)}, "loss": 1 / 3})
    assert list(shared.Runs(path)) == [added]
    assert added == {"λ": {"0.1": [1, 2]}, "loss": 1 / 3}


def test_runs_that_are_there_are_skipped(shared, path):
    assert measure_all(shared, path, ["a", "b"]) == ["a", "b"]
    assert measure_all(shared, path, ["a", "c", "b"]) == ["c"]
    assert [run["arm"] for run in shared.Runs(path)] == ["a", "b", "c"]


def test_runs_are_found_by_all_values_that_are_asked_for(shared, path):
    runs = shared.Runs(path)
    for arm, seed in (("a", 0), ("a", 1), ("b", 0)):
        runs.add({"arm": arm, "seed": seed})
    assert runs.where(arm="a") == [{"arm": "a", "seed": 0}, {"arm": "a", "seed": 1}]
    assert runs.where(arm="b", seed=0) == [{"arm": "b", "seed": 0}]
    assert runs.where(arm="b", seed=1) == runs.where(epoch=0) == []


# In the middle of a word, and of a character.
@pytest.mark.parametrize("cut", [4, 10])
def test_an_unfinished_line_is_passed_over_and_measured_again(
    shared, path, capsys, cut
):
    measure_all(shared, path, ["a"])
    torn = '{"arm": "λ", "seed": 0}'.encode()[:cut]
    with path.open("ab") as file:
        file.write(torn)
    assert measure_all(shared, path, ["a", "λ"]) == ["λ"]
    assert "line 2 is unfinished" in capsys.readouterr().err
    assert [run["arm"] for run in shared.Runs(path)] == ["a", "λ"]
    assert measure_all(shared, path, ["a", "λ"]) == []
    assert len(path.read_bytes().splitlines()) == 3


def test_a_last_line_without_its_end_counts_if_it_is_whole(shared, path):
    path.parent.mkdir()
    path.write_text('{"arm": "a", "seed": 0}')
    assert measure_all(shared, path, ["a", "b"]) == ["b"]
    assert [run["arm"] for run in shared.Runs(path)] == ["a", "b"]


def test_every_file_of_results_is_whole(shared, capsys):
    files = list(shared.RESULTS.glob("*.jsonl"))
    assert files
    assert all(list(shared.Runs(file)) for file in files)
    assert capsys.readouterr().err == ""


def test_scripts_that_only_start_others_do_not_load_the_library():
    code = "import sys, shared; sys.exit('keras' in sys.modules)"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, cwd=BENCHMARKS).returncode == 0


def test_one_value_has_no_spread(shared):
    assert shared.mean_and_spread([1.0]) == "1.00 ± 0.00"
    assert shared.mean_and_spread([1.0, 3.0]) == "2.00 ± 1.41"
