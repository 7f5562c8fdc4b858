"""`tools/grow.py`: what it prints and writes, from start to end."""

import json
import subprocess
import sys
import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util.event_pb2 import Event
from tool_runs import ROOT, SHORT, TINY, environment, started

import tf_splitting

TARGET = 120e3


def test_everything_is_there_and_nothing_else(job):
    _, workdir = job
    files = {"flags.txt", "grown.keras", "growth.png", "report.html", "history.json"}
    folders = {"checkpoints", "logs", "saved_model"}
    assert {path.name for path in workdir.iterdir()} == {".lock"} | files | folders


def test_the_model_has_grown_within_its_budget(job):
    _, workdir = job
    grown = keras.saving.load_model(workdir / "grown.keras")
    assert 0.97 * TARGET <= tf_splitting.count_macs(grown) <= TARGET
    assert grown.compiled


def test_output_is_readable_and_tensorflow_is_silent(job):
    process, workdir = job
    assert process.stderr == ""
    lines = process.stdout.splitlines()
    assert sum("  epoch " in line for line in lines) == 3
    assert sum("before split" in line for line in lines) == 2
    assert any(line.split()[:1] == ["first"] for line in lines)
    assert any(line.startswith("test: accuracy 0.") for line in lines)
    assert str(workdir) in lines[-1]


def test_history_has_every_epoch_and_round(job):
    _, workdir = job
    history = json.loads((workdir / "history.json").read_text())
    assert [entry["epoch"] for entry in history["epochs"]] == [1, 2, 3]
    assert [entry["round"] for entry in history["rounds"]] == [1, 2]
    assert {"val_accuracy", "val_loss"} <= history["epochs"][0].keys()


def test_the_picture_is_a_picture(job):
    _, workdir = job
    decoded = tf.io.decode_png((workdir / "growth.png").read_bytes())
    assert decoded.shape[0] > 800
    assert decoded.shape[1] > 1200
    assert np.std(decoded) > 0


def test_tensorboard_events_hold_all_scalars(job):
    _, workdir = job
    found = {}
    for file in (workdir / "logs").iterdir():
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            event = Event.FromString(record)
            for value in event.summary.value:
                assert value.WhichOneof("value") == "simple_value"
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    usual = {"accuracy", "loss", "val_accuracy", "val_loss"}
    cost = {"macs", "params", "compute", "seconds"}
    assert found.keys() == usual | cost | {"learning_rate", "round"}
    history = tf_splitting.GrowthHistory()
    history.fill(json.loads((workdir / "history.json").read_text()))
    np.testing.assert_allclose(found["compute"][3], history.compute, rtol=1e-6)
    np.testing.assert_allclose(found["seconds"][3], history.seconds, rtol=1e-6)
    assert found["round"] == {1: 0, 2: 1, 3: 2}
    assert found["macs"][1] < found["macs"][2] < found["macs"][3] <= TARGET


@pytest.mark.slow
def test_saved_model_serves_without_this_package(job):
    """A process of its own compares both files and never imports `tf_splitting`."""
    _, workdir = job
    script = f"""
import sys
import keras, numpy as np, tensorflow as tf
x = np.random.default_rng(1).uniform(0, 255, (7, 16, 16, 3)).astype("float32")
loaded = tf.saved_model.load({str(workdir / "saved_model")!r})
served = loaded.serve(tf.constant(x))
model = keras.saving.load_model({str(workdir / "grown.keras")!r})
assert "tf_splitting" not in sys.modules
print(np.abs(served - model(x, training=False)).max())
"""
    process = subprocess.run(
        [sys.executable, "-c", script],
        cwd=workdir,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert float(process.stdout) <= 1e-5


def test_the_flags_of_a_job_repeat_it(job):
    _, workdir = job
    lines = (workdir / "flags.txt").read_text().splitlines()
    assert "--target_macs=120000.0" in lines
    assert not any("workdir" in line for line in lines)


@pytest.mark.slow
def test_a_second_process_is_refused_and_told_of_the_first(small_file, tmp_path):
    workdir = tmp_path / "out"
    first = started(workdir, small_file, "--epochs=100000")
    try:
        next(line for line in first.stdout if "epoch 1/" in line)
        second = started(workdir, small_file, "--epochs=100000")
        _, errors = second.communicate(timeout=120)
        assert second.returncode == 2
        assert f"in use by process {first.pid}" in errors
        assert "Traceback" not in errors
    finally:
        first.kill()
        first.communicate()


@pytest.mark.slow
def test_a_finished_job_says_so_again_and_another_is_refused(job, run_tool, small_file):
    process, workdir = job
    flags = (f"--model={small_file}", f"--workdir={workdir}", *TINY, *SHORT)
    written = (workdir / "grown.keras").stat().st_mtime_ns
    again = run_tool("grow", "--target_macs=120e3", *flags)
    assert again.returncode == 0, again.stderr
    assert "resuming" in again.stdout
    assert again.stdout.splitlines()[-1] == process.stdout.splitlines()[-1]
    assert (workdir / "grown.keras").stat().st_mtime_ns == written

    other = run_tool("grow", "--target_macs=110e3", "--epochs=2", *flags)
    assert other.returncode == 2
    assert "--epochs=1 then, --epochs=2 now" in other.stderr
    assert "--target_macs=120000.0 then, --target_macs=110000.0 now" in other.stderr


@pytest.mark.exhaustive
def test_a_budget_of_compute(run_tool, small_file, tmp_path):
    def run(*flags):
        workdir = tmp_path / flags[0]
        job = (f"--model={small_file}", f"--workdir={workdir}", "--noexport")
        return run_tool("grow", *job, *TINY, *flags), workdir

    growth = ("--target_macs=120e3", "--method=candidates", "--rounds=1")
    grown, workdir = run("--training_epochs=8", *growth)
    assert grown.returncode == 0, grown.stderr
    (line,) = [
        each for each in grown.stdout.splitlines() if each.startswith("training: ")
    ]
    history = tf_splitting.GrowthHistory()
    history.fill(json.loads((workdir / "history.json").read_text()))
    assert 7.5 < history.compute / (120e3 * 64) <= 8
    epochs = history.compute / history.epochs[-1]["macs"] / 64
    assert f"as {epochs:.2f} epochs of this model" in line
    assert "/8  " in grown.stdout

    alone, workdir = run("--nogrow", "--training_epochs=2.5")
    assert alone.returncode == 0, alone.stderr
    images = sum(
        epoch["images"]
        for epoch in json.loads((workdir / "history.json").read_text())["epochs"]
    )
    assert images == 2.5 * 64

    both, _ = run("--training_epochs=2", "--final_epochs=1", *growth)
    assert both.returncode == 2
    assert "training_epochs=2.0 and final_epochs=1" in both.stderr


@pytest.mark.slow
def test_restart_keeps_what_was_there(run_tool, small_file, tmp_path):
    workdir = tmp_path / "out"

    def run(*flags):
        process = run_tool(
            "grow",
            f"--model={small_file}",
            "--target_macs=60e3",
            f"--workdir={workdir}",
            "--train_limit=32",
            "--test_limit=40",
            "--batch_size=16",
            "--method=uniform",
            "--rounds=1",
            "--epochs=0",
            "--final_epochs=1",
            "--noexport",
            *flags,
        )
        assert process.returncode == 0, process.stderr

    run()
    before = (workdir / "grown.keras").read_bytes()
    run("--seed=1", "--restart")
    aside = workdir / "previous-1"
    assert (aside / "grown.keras").read_bytes() == before
    assert (aside / "checkpoints").is_dir()
    assert "--seed=0" in (aside / "flags.txt").read_text()
    assert "--seed=1" in (workdir / "flags.txt").read_text()
    assert (workdir / "grown.keras").read_bytes() != before


@pytest.mark.exhaustive
def test_killed_jobs_end_as_those_left_alone():
    """A short run of the harness that kills a hundred times."""
    with tempfile.NamedTemporaryFile() as output:
        process = subprocess.run(
            [
                sys.executable,
                str(ROOT / "benchmarks" / "jobs" / "kill_harness.py"),
                "--kills=1",
                "--stops=1",
                f"--output={output.name}",
            ],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=1500,
        )
    assert process.returncode == 0, process.stdout
    assert "kills: 1 in" in process.stdout


@pytest.mark.exhaustive
def test_a_built_in_model_grows(run_tool, tmp_path):
    process = run_tool(
        "grow",
        "--model=mobilenet_v1",
        "--widths=cifar_seed",
        "--image_size=32",
        "--target_macs=1e6",
        "--rounds=1",
        "--epochs=0",
        "--noexport",
        *TINY,
        *SHORT,
        cwd=tmp_path,
    )
    assert process.returncode == 0, process.stderr
    (workdir,) = (tmp_path / "runs").glob("mobilenet_v1-*")
    assert (workdir / "grown.keras").exists()
    assert not (workdir / "saved_model").exists()


@pytest.mark.exhaustive
def test_the_main_job(run_tool, tmp_path):
    """The README's first command at 96 pixels: as it stands it takes ten minutes."""
    process = run_tool(
        "grow",
        "--model=mobilenet_v2",
        "--image_size=96",
        "--target_macs=0.037e9",
        "--train_limit=100",
        "--test_limit=50",
        cwd=tmp_path,
    )
    assert process.returncode == 0, process.stderr
    (workdir,) = (tmp_path / "runs").iterdir()
    history = json.loads((workdir / "history.json").read_text())
    assert len(history["rounds"]) >= 2
    assert 0.0359e9 <= history["rounds"][-1]["macs"] <= 0.037e9
    losses = [epoch["loss"] for epoch in history["epochs"]]
    assert losses[-1] < losses[0]
