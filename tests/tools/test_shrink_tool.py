"""`tools/shrink.py`: what it prints and writes, from start to end."""

import json

import keras
import pytest
from tool_runs import TINY

import tf_splitting

# Of the 25 thousand that the small file has.
TARGET = 10e3
SHORT = ("--sample_size=16", "--final_epochs=1", "--noexport")


@pytest.fixture(scope="module")
def shrunk(run_tool, small_file, tmp_path_factory):
    """A finished job: `(process, workdir)`."""
    workdir = tmp_path_factory.mktemp("job") / "out"
    flags = (f"--model={small_file}", f"--target_macs={TARGET}", *TINY, *SHORT)
    process = run_tool("shrink", *flags, f"--workdir={workdir}")
    assert process.returncode == 0, process.stderr
    return process, workdir


@pytest.mark.slow
def test_what_is_there_and_what_is_told(shrunk):
    process, workdir = shrunk
    assert process.stderr == ""
    lines = process.stdout.splitlines()
    assert sum("before removal" in line for line in lines) == 2
    assert any(line.startswith("target: 10.0k MACs") for line in lines)
    assert any(line.startswith("test: accuracy 0.") for line in lines)
    files = {"flags.txt", "shrunk.keras", "growth.png", "report.html", "history.json"}
    folders = {"checkpoints", "logs"}
    assert {path.name for path in workdir.iterdir()} == {".lock"} | files | folders
    smaller = keras.saving.load_model(workdir / "shrunk.keras")
    assert 0.5 * TARGET < tf_splitting.count_macs(smaller) <= TARGET
    rounds = json.loads((workdir / "history.json").read_text())["rounds"]
    assert [record["removed"] > 0 for record in rounds] == [True, True]


@pytest.mark.slow
def test_the_same_command_finds_it_done(shrunk, run_tool, small_file):
    _, workdir = shrunk
    written = (workdir / "shrunk.keras").stat().st_mtime_ns
    flags = (f"--model={small_file}", f"--target_macs={TARGET}", *TINY, *SHORT)
    again = run_tool("shrink", *flags, f"--workdir={workdir}")
    assert again.returncode == 0, again.stderr
    assert "resuming from" in again.stdout
    assert (workdir / "shrunk.keras").stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({}, "--target_macs is missing"),
        ({"target_macs": 1e9}, "only 25"),
        ({"target_macs": 10}, "cannot be met"),
        ({"target_macs": 1e4, "min_width": 9}, "cannot be met"),
    ],
)
def test_mistakes(run_here, small_file, flags, message):
    with pytest.raises((ValueError, tf_splitting.SplittingError), match=message):
        run_here("shrink", model=small_file, **flags)


@pytest.mark.slow
@pytest.mark.parametrize("score", ["taylor", "normalization_scale", "weight_norm"])
def test_scores(run_here, small_file, score, capsys):
    run_here(
        "shrink",
        model=small_file,
        target_macs=20e3,
        score=score,
        rounds=1,
        train_limit=32,
        test_limit=16,
        batch_size=16,
        epochs=0,
        final_epochs=0,
        export=False,
        workdir=f"out_{score}",
    )
    assert "in out_" in capsys.readouterr().out
