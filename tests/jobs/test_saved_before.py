"""Checkpoints, plans and scores that version 0.1.0 of November 2026 wrote are read.

`saved/` was written before the package had rooms, by the job below, killed when it had
estimated for its second split, and by `estimate` and `select` on the same model.
"""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

import tf_splitting
from tf_splitting import SplitPlan, SplittingScores
from tf_splitting.growing import preparing

SAVED = Path(__file__).parent / "saved"
STATE = SAVED / "checkpoints" / "checkpoint-000007" / "state.json"


def model():
    # Names of layers are what the process that saved had: its first.
    keras.utils.clear_session()
    keras.utils.set_random_seed(7)
    net = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, activation="tanh", name="first"),
            keras.layers.Dense(4, activation="tanh", name="second"),
            keras.layers.Dense(2, name="last"),
        ],
        name="saved",
    )
    net.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    return net


def data():
    x = np.random.default_rng(7).normal(size=(64, 4)).astype("float32")
    return x, np.stack([x[:, 0] * x[:, 1], x[:, 2]], -1)


@pytest.fixture
def same_keras(monkeypatch):
    """What Keras makes of settings may change; it is not what is tested here."""
    saved = json.loads(STATE.read_text())
    said = {name: saved["configuration"][name] for name in ("optimizer", "loss")}
    monkeypatch.setattr(preparing, "describe_training", lambda _: said)
    name = saved["configuration"]["model"]
    monkeypatch.setattr(preparing, "describe_model", lambda _: name)
    monkeypatch.setattr(
        tf_splitting.jobs.resuming, "versions", lambda: saved["versions"]
    )


def test_a_job_goes_on(tmp_path, same_keras):
    shutil.copytree(SAVED / "checkpoints", tmp_path / "checkpoints")
    history = tf_splitting.GrowthHistory()
    grown = tf_splitting.grow(
        model(),
        data(),
        target_macs=90,
        rounds=2,
        epochs=2,
        final_epochs=2,
        epsilon=0.1,
        batch_size=16,
        seed=3,
        max_widths={"first": 9},
        class_weight=None,
        sample_size=64,
        checkpoint_dir=tmp_path / "checkpoints",
        history=history,
        # The only way there was; another is the default now.
        optimizer_state="carry",
        verbose=0,
    )
    folder = STATE.parent
    before = json.loads((folder / "history.json").read_text())
    assert history.to_dict()["epochs"][:4] == before["epochs"]
    # What was not counted then is not known now.
    parts = ("compute", "layer_widths", "layer_macs", "gains", "space_macs")
    unknown = {part: {} for part in parts}
    assert history.to_dict()["rounds"][:1] == [
        {**record, **unknown, "removed": 0, "kind": "split"}
        for record in before["rounds"]
    ]
    # But for what the job started from, which is given again.
    assert history.seed.macs == tf_splitting.count_macs(model())
    # The plan that was saved is the one that was applied.
    plan = SplitPlan.from_json((folder / "plan.json").read_text())
    assert len(plan) == history.rounds[1].added > 0
    first = before["rounds"][0]["widths"]
    assert history.rounds[1].widths == {
        space: width + len(plan.splits.get(space, ())) for space, width in first.items()
    }
    # Nothing fits in a third round, and the job ends with its final epochs.
    assert "82 of 90" in history.stopped
    assert len(history.epochs) == 8
    assert 60 < tf_splitting.count_macs(grown) <= 90
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]


def test_another_setting_is_still_refused(tmp_path, same_keras):
    shutil.copytree(SAVED / "checkpoints", tmp_path / "checkpoints")
    with pytest.raises(tf_splitting.errors.CheckpointError, match="shuffle was True"):
        tf_splitting.grow(
            model(),
            data(),
            target_macs=90,
            shuffle=False,
            checkpoint_dir=tmp_path / "checkpoints",
            verbose=0,
        )


def test_scores_and_plan_belong_together():
    scores = SplittingScores.load(SAVED / "scores.npz")
    plan = SplitPlan.load(SAVED / "plan.json")
    net = model()
    chosen = tf_splitting.select(scores, tf_splitting.trace(net), target_macs=60)
    assert chosen == plan
    assert plan.directions.keys() == {"first", "second"}
    grown = tf_splitting.split(net, plan, scores=scores, epsilon=0.01)
    assert grown.get_layer("first").units == 5
