"""Pictures and tables of a job, from plain data."""

import tensorflow as tf

from tf_splitting.exporting.reporting import metric_name, plot_growth, width_table

EPOCHS = [
    {"epoch": 1, "round": 0, "macs": 10, "seconds": 1, "loss": 2.0, "top5_acc": 0.1},
    {"epoch": 2, "round": 1, "macs": 20, "seconds": 1, "loss": 1.0, "top5_acc": 0.5},
]


def test_widths_stand_beside_each_other():
    table = width_table({"conv1": 8, "head": 10}, {"conv1": 12, "head": 10})
    assert table.splitlines() == [
        "layer  seed  grown  growth",
        "--------------------------",
        "conv1     8     12   x1.50",
        "head     10     10   x1.00",
    ]


def test_the_metric_is_the_accuracy_if_there_is_one():
    assert metric_name(EPOCHS) == "top5_acc"
    assert metric_name([{"epoch": 1, "loss": 1.0, "mae": 2.0, "val_mae": 1}]) == "mae"
    assert metric_name([{"epoch": 1, "loss": 1.0}]) is None
    assert metric_name([]) is None


def test_jobs_of_every_shape_can_be_drawn(tmp_path):
    loss_only = [{k: v for k, v in e.items() if k != "top5_acc"} for e in EPOCHS]
    for name, epochs in {"two": EPOCHS, "one": EPOCHS[:1], "loss": loss_only}.items():
        path = tmp_path / f"{name}.png"
        plot_growth(epochs, path, title=name)
        assert tf.io.decode_png(path.read_bytes()).shape[1] > 1000
