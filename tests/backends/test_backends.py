"""Both backends compute the same, and read what the other has written."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scenarios
import tiers

import tf_splitting

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = Path(__file__).with_name("without_tensorflow.py")
PATHS = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
# Relative to the largest number of an array. Weights: after some dozen steps.
TOLERANCES = {"estimate": 1e-4, "exact": 1e-5, "split": 1e-5, "grow": 1e-5}
DEFAULT = 1e-5
# Numbers below are rounding, as in the gradient of a bias in front of a normalization.
NOISE = 1e-6
# Slow ones, of which every step is in another row too.
RARE = {"family", "build", "reallocate", "shrink"}


@pytest.fixture(scope="module")
def results(request, tmp_path_factory):
    """`(TensorFlow's, JAX's)` arrays by `row|key`."""
    rare = set() if request.config.getoption("--exhaustive") else RARE
    names = [name for name in scenarios.ROWS if name not in rare]
    folder = tmp_path_factory.mktemp("backends")
    here = scenarios.results_of([scenarios.ROWS[name] for name in names], folder)
    there = on_jax(folder, *names, "resumed", "read")
    here |= scenarios.results_of([scenarios.resumed, scenarios.read], folder)
    return here, there


def on_jax(folder, *names):
    """Arrays by `row|key`, from a process that cannot import TensorFlow."""
    file = folder / "jax.npz"
    run = subprocess.run(
        [sys.executable, WITHOUT, scenarios.__file__, file, folder, *names],
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "PYTHONPATH": PATHS,
            # Slower programs, sooner compiled.
            "XLA_FLAGS": "--xla_backend_optimization_level=0",
        },
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    with np.load(file) as found:
        return dict(found)


def row_of(results, name):
    here, there = (
        {k: v for k, v in side.items() if k.startswith(f"{name}|")} for side in results
    )
    assert here.keys() == there.keys()
    assert here
    return {key: (here[key], there[key]) for key in here}


def assert_near(one, other, tolerance, key):
    assert one.shape == other.shape, key
    scale = max(float(np.abs(one).max(initial=0)), NOISE / tolerance)
    np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * scale, err_msg=key)


def test_every_public_function_has_a_row():
    functions = {
        name
        for name in tf_splitting.__all__
        if inspect.isfunction(getattr(tf_splitting, name))
    }
    assert functions <= scenarios.ROWS.keys()


@pytest.mark.exhaustive
def test_a_job_on_jax_alone_ends_as_on_tensorflow(tmp_path):
    """The quick one of these, for work on the backends."""
    here = scenarios.results_of([scenarios.short_job], tmp_path)
    there = on_jax(tmp_path, "short_job")
    for key, (one, other) in row_of((here, there), "short_job").items():
        assert_near(one, other, TOLERANCES["grow"], key)
    assert 1_800 < there["short_job|macs"] <= 2_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", tiers.few(scenarios.ROWS, scenarios.ROWS.keys() - RARE)
)
def test_both_backends_agree(name, results):
    for key, (one, other) in row_of(results, name).items():
        assert_near(one, other, TOLERANCES.get(name, DEFAULT), key)


@pytest.mark.slow
def test_a_job_goes_on_with_what_the_other_backend_has_saved(results):
    assert all(saved for saved, _ in row_of(results, "request_stop").values())
    whole = row_of(results, "grow")
    resumed = row_of(results, "resumed")
    assert all(resumed.pop("resumed|warned"))
    for key, (one, other) in resumed.items():
        expected, _ = whole[key.replace("resumed|", "grow|")]
        assert_near(expected, one, TOLERANCES["grow"], key)
        assert_near(expected, other, TOLERANCES["grow"], key)


@pytest.mark.slow
def test_plans_and_scores_of_the_other_backend_are_read(results):
    for key, (one, other) in row_of(results, "read").items():
        assert_near(one, other, TOLERANCES["split"], key)
