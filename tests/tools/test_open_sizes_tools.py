"""The tools on a model that takes images of any size."""

import json

import keras
import numpy as np
import pytest
from tool_runs import SHORT, TINY

from tf_splitting import count_macs
from tf_splitting.exporting import load_saved_model
from tf_splitting.requirements import KERAS
from tf_splitting.support import format_count
from tf_splitting_programs.running import UsageError

SIZE, OTHER = (16, 16, 3), (19, 24, 3)
LIMITS = dict(flag.lstrip("-").split("=") for flag in (*TINY, *SHORT))
# Whatever is split where.
QUICK = {**LIMITS, "image_size": 16, "method": "uniform", "rounds": 1}


@pytest.fixture(scope="module")
def open_file(tmp_path_factory):
    """An uncompiled `.keras` file for ten classes, 25 k MACs at 16 x 16 pixels."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(8, 3, strides=2, activation="swish", name="first"),
            layers.Conv2D(8, 3, activation="swish", name="second"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, name="head"),
        ],
        name="open",
    )
    path = tmp_path_factory.mktemp("model") / "open.keras"
    model.save(path)
    return path


def assert_open(folder, target):
    """Model and SavedModel are within the budget, and take images of other sizes."""
    grown = keras.saving.load_model(folder / "grown.keras")
    assert grown.input_shape == (None, None, None, 3)
    assert 0.9 * target < count_macs(grown, SIZE) <= target
    served = load_saved_model(folder / "saved_model")
    assert served.input_shape == (None, None, None, 3)
    for shape in (SIZE, OTHER):
        x = np.random.default_rng(0).uniform(0, 255, (2, *shape)).astype("float32")
        np.testing.assert_allclose(served.run(x), grown(x), atol=1e-5)


def test_it_grows_and_is_exported_with_its_sizes_open(
    run_here, open_file, tmp_path, capsys
):
    folder = tmp_path / "out"
    run_here("grow", model=open_file, target_macs=60e3, workdir=folder, **QUICK)
    assert_open(folder, 60e3)
    told = capsys.readouterr().out
    assert "open: 25.1k MACs" in told
    macs = json.loads((folder / "history.json").read_text())["rounds"][-1]["macs"]
    assert f"cost: {format_count(macs)} MACs" in told
    test = {"test_limit": 40, "batch_size": 16, "image_size": 16}
    run_here("evaluate", model=folder / "grown.keras", **test)
    assert f"{format_count(macs)} MACs" in capsys.readouterr().out


@pytest.mark.slow
def test_a_family_is_open_and_compared_with_open_baselines(
    run_here, open_file, tmp_path
):
    if KERAS < (3, 13):
        pytest.skip("Keras does not write LiteRT")
    folder = tmp_path / "out"
    options = {**QUICK, "baselines": True, "litert": True, "workdir": folder}
    run_here("grow", model=open_file, target_macs="60e3,120e3", **options)
    about = json.loads((folder / "family.json").read_text())
    epoch = json.loads((folder / "history.json").read_text())["epochs"][0]
    assert about["seed"]["metrics"]["loss"] == epoch["val_loss"]
    for stage, target, scaled in zip(
        ("stage-0.060M", "stage-0.120M"), (60e3, 120e3), about["scaled"]
    ):
        assert_open(folder / stage, target)
        path = folder / stage / "scaled" / "scaled.keras"
        baseline = keras.saving.load_model(path)
        assert baseline.input_shape == (None, None, None, 3)
        assert count_macs(baseline, SIZE) == scaled["macs"] <= target
        # It was trained: a new bias is zero.
        assert np.any(baseline.get_layer("head").bias)


def test_inspect_counts_at_the_size_given(run_here, open_file, capsys):
    run_here("inspect_model", model=open_file, image_size=16)
    assert "25.1k MACs" in capsys.readouterr().out
    with pytest.raises(UsageError, match="images of any size: give --image_size"):
        run_here("inspect_model", model=open_file)
