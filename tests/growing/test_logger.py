"""A loop of one's own, told and logged by a callback."""

import keras
import nets
import numpy as np
import pytest
from interrupted import examples

import tf_splitting
from tf_splitting import GrowthHistory, GrowthLogger, count_macs, trace
from tf_splitting.errors import SplittingError
from tf_splitting.exporting import write_report


@pytest.mark.slow
def test_what_a_loop_does_is_told_and_logged(capsys, tmp_path):
    model = nets.dense()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    x, y = examples()
    log, csv = GrowthLogger(batch_size=24), tmp_path / "log.csv"
    settings = {
        "validation_data": (x, y),
        "batch_size": 24,
        "verbose": 0,
        "callbacks": [log, keras.callbacks.CSVLogger(csv, append=True)],
    }
    seed = count_macs(model)
    model.fit(x, y, **settings)
    scores = tf_splitting.estimate(model, (x, y), verbose=0)
    plan = tf_splitting.select(scores, trace(model), target_macs=2 * seed)
    log.planned(plan, scores)
    grown = tf_splitting.split(model, plan, scores=scores, epsilon="fresh")
    told = grown.fit(x, y, initial_epoch=1, epochs=3, **settings)

    history = log.history
    (record,) = history.rounds
    assert (record.added, record.removed, record.kind) == (len(plan), 0, "split")
    assert record.widths == trace(grown).widths
    assert record.macs == count_macs(grown)
    assert set(record.gains) == set(plan.added) == set(record.space_macs)
    assert record.predicted_gain == pytest.approx(sum(record.gains.values()))
    assert history.seed.macs == seed
    assert [epoch["round"] for epoch in history.epochs] == [0, 1, 1]
    assert [epoch["epoch"] for epoch in history.epochs] == [1, 2, 3]
    assert history.compute == 72 * (seed + 2 * record.macs)
    # What comes behind it in the list, and what `fit` returns, have it too.
    assert told.history["macs"] == [record.macs] * 2
    assert told.history["round"] == [1, 1]
    rows = np.genfromtxt(csv, delimiter=",", names=True)
    assert list(rows["macs"]) == [seed, record.macs, record.macs]

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"round 1: +{len(plan)} neurons, {seed} to ")
    assert any(line.startswith("first") for line in lines)
    # The report takes it.
    write_report(history, tmp_path / "report.html")
    assert "losses around changes" in (tmp_path / "report.html").read_text()


def test_mistakes_are_told():
    for settings in ({"batch_size": 0}, {"history": {}}, {"verbose": "loud"}):
        with pytest.raises(SplittingError):
            GrowthLogger(**settings)
    history = GrowthHistory()
    assert GrowthLogger(history).history is history
