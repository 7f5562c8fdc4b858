"""`tools/reallocate.py`: what it prints and writes, from start to end."""

import json

import keras
import pytest
from absl import flags
from tool_runs import TINY

import tf_splitting

SHORT = ("--sample_size=16", "--gain_step=1", "--final_epochs=1", "--noexport")


@pytest.fixture(scope="module")
def done(run_tool, small_file, tmp_path_factory):
    """A finished job: `(process, workdir)`."""
    workdir = tmp_path_factory.mktemp("job") / "out"
    flags = (f"--model={small_file}", *TINY, *SHORT, f"--workdir={workdir}")
    process = run_tool("reallocate", *flags)
    assert process.returncode == 0, process.stderr
    return process, workdir


@pytest.mark.slow
def test_what_is_there_and_what_is_told(done, small_file):
    process, workdir = done
    assert process.stderr == ""
    lines = process.stdout.splitlines()
    assert sum("before exchange" in line for line in lines) == 2
    assert not any(line.startswith("target:") for line in lines)
    files = {
        "flags.txt",
        "reallocated.keras",
        "growth.png",
        "report.html",
        "history.json",
    }
    folders = {"checkpoints", "logs"}
    assert {path.name for path in workdir.iterdir()} == {".lock"} | files | folders
    before = keras.saving.load_model(small_file)
    after = keras.saving.load_model(workdir / "reallocated.keras")
    macs = tf_splitting.count_macs(before)
    assert 0.8 * macs < tf_splitting.count_macs(after) <= macs
    assert tf_splitting.trace(after).widths != tf_splitting.trace(before).widths
    rounds = json.loads((workdir / "history.json").read_text())["rounds"]
    assert [record["kind"] for record in rounds] == ["exchange"] * 2


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"rounds": 0}, (ValueError, tf_splitting.SplittingError)),
        ({"moved": 2}, flags.IllegalFlagValueError),
    ],
)
def test_mistakes(run_here, small_file, changed, error):
    (name,) = changed
    with pytest.raises(error, match=name):
        run_here("reallocate", model=small_file, **changed)


@pytest.mark.slow
def test_growth_with_reallocations(run_here, small_file, capsys):
    run_here(
        "grow",
        model=small_file,
        target_macs=60e3,
        reallocations=1,
        rounds=1,
        sample_size=16,
        train_limit=32,
        test_limit=16,
        batch_size=16,
        epochs=1,
        final_epochs=0,
        export=False,
        workdir="out",
    )
    told = capsys.readouterr().out
    assert "before exchange" in told or "no allowed exchange pays" in told
