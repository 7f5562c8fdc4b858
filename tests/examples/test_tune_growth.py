"""The example that tunes growth runs, where KerasTuner is installed."""

import runpy
from pathlib import Path

import pytest

import tf_splitting

EXAMPLE = Path(__file__).parents[2] / "examples" / "tune_growth.py"


@pytest.mark.slow
def test_trials_grow_and_the_best_is_kept(tmp_path, capsys):
    pytest.importorskip("keras_tuner", reason="keras-tuner is not installed")
    example = runpy.run_path(str(EXAMPLE))
    best = example["tune"](tmp_path, trials=2, epochs=0.5)
    seed = tf_splitting.count_macs(example["seed"](1e-3))
    assert 2 * seed < tf_splitting.count_macs(best) <= 4 * seed
    trials = sorted(tmp_path.glob("trial-*"))
    assert len(trials) == 2
    assert all((trial / "report.html").exists() for trial in trials)
    assert "Results summary" in capsys.readouterr().out
