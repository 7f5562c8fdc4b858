"""How a growing job ends when it does not get to its end: exit code, what it says, what
it leaves, and that the same command goes on.
"""

import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
from contextlib import contextmanager

import keras
import pytest
import tensorflow as tf
import tiers
from absl import flags
from tensorflow.core.util.event_pb2 import Event
from tool_runs import SHORT, TINY, started

import tf_splitting
from tf_splitting.jobs.checkpoints.store import CheckpointStore
from tf_splitting_programs.jobs import results
from tf_splitting_programs.jobs.events import EpochEvents

# What a finished job has written, in this order.
RESULTS = ("history.json", "grown.keras", "growth.png", "report.html", "saved_model")


@pytest.mark.slow
@pytest.mark.parametrize("name", tiers.few(["SIGTERM", "SIGINT"], ["SIGTERM"]))
def test_a_signal_stops_a_job_that_goes_on_with_the_same_command(
    name, small_file, tmp_path
):
    workdir = tmp_path / "out"
    process = started(workdir, small_file, "--epochs=200")
    try:
        for line in process.stdout:
            if "epoch 2/" in line:
                break
        process.send_signal(getattr(signal, name))
        output, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 75
    assert f"stopped ({name}), saved in {workdir}" in output
    assert f"--workdir={workdir}" in output
    assert "Traceback" not in errors
    done = len(json.loads((workdir / "history.json").read_text())["epochs"])
    assert 2 <= done < 200
    assert not (workdir / "grown.keras").exists()

    again = started(workdir, small_file, "--epochs=200")
    try:
        lines = iter(again.stdout)
        line = next(line for line in lines if "resuming" in line or "epoch" in line)
        assert f"resuming from {workdir}" in line
        assert f"epoch {done + 1}/" in next(lines)
        again.send_signal(signal.SIGTERM)
        again.communicate(timeout=120)
    finally:
        again.kill()
    assert again.returncode == 75


def block_output(process):
    """Fills the pipe that a process writes to: it has to wait until somebody reads."""
    pipe = os.open(f"/proc/{process.pid}/fd/1", os.O_WRONLY | os.O_NONBLOCK)
    try:
        for size in (65536, 1):
            try:
                while True:
                    os.write(pipe, bytes(size))
            except BlockingIOError:
                pass
    finally:
        os.close(pipe)


@pytest.mark.slow
def test_a_second_signal_ends_a_job_at_once(small_file, tmp_path):
    workdir = tmp_path / "out"
    job = ("--method=uniform", "--rounds=1", "--epochs=0", "--noexport")
    process = started(workdir, small_file, *job)
    try:
        next(line for line in process.stdout if line.startswith("+"))
        # It cannot end before it has said something: that it has stopped, if it saves.
        block_output(process)
        process.send_signal(signal.SIGINT)
        next(line for line in process.stderr if "SIGINT: stopping after" in line)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == -signal.SIGINT
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()
    assert not (workdir / "grown.keras").exists()

    again = started(workdir, small_file, *job)
    output, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    assert f"resuming from {workdir}" in output
    assert (workdir / "grown.keras").exists()


@pytest.mark.slow
def test_a_loss_that_is_not_finite(run_tool, small_file, tmp_path):
    workdir = tmp_path / "out"
    # Its weights are finite after the first step, and no longer after the second.
    job = ("--learning_rate=1e30", "--save_steps=1", "--method=uniform")
    process = run_tool(
        "grow",
        f"--model={small_file}",
        "--target_macs=120e3",
        f"--workdir={workdir}",
        *(*TINY, *SHORT, *job),
    )
    assert process.returncode == 3
    assert process.stderr.startswith("error: The training loss became nan at batch 1.")
    assert "Lower the learning rate" in process.stderr
    good = workdir / "checkpoints" / "checkpoint-000001"
    assert f"The last good checkpoint is {good}." in process.stderr
    assert "Traceback" not in process.stderr
    assert CheckpointStore(good.parent).load().path == good
    assert json.loads((workdir / "history.json").read_text())["epochs"] == []
    assert not (workdir / "grown.keras").exists()


def limit_files(size):
    """No file of this process may be larger. Writing more fails as on a full disk, but
    for the error number, and nobody has to be root to arrange it.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


@contextmanager
def limited_files(size):
    before, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit_files(size)
    try:
        yield
    finally:
        limit_files(before)


def too_small_for(path):
    """A limit that the largest file of a result exceeds, also when written again."""
    files = path.rglob("*") if path.is_dir() else [path]
    return 9 * max(file.stat().st_size for file in files) // 10


@pytest.mark.slow
def test_each_result_is_whole_or_absent(job, tmp_path):
    _, done = job
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["grow"])
    grown = keras.saving.load_model(done / "grown.keras")
    images = tf_splitting.data.load(
        "fashion_mnist_small", image_size=(16, 16), channels=3, test_limit=40
    )
    history = tf_splitting.GrowthHistory()
    history.fill(json.loads((done / "history.json").read_text()))
    for number, name in enumerate(RESULTS):
        told = pytest.raises(OSError, match=f"File too large.*{name}")
        with limited_files(too_small_for(done / name)), told:
            results.write(grown, images, history, tmp_path, "grown.keras", "grow")
        assert {path.name for path in tmp_path.iterdir()} == set(RESULTS[:number])
        copy = shutil.copytree if (done / name).is_dir() else shutil.copy
        copy(done / name, tmp_path / name)


def test_events_wait_for_room(tmp_path):
    """A full disk takes part of an event; the job goes on, and all are there later."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    events = EpochEvents(tmp_path / "logs", tf_splitting.GrowthHistory())
    events.set_model(model)
    events.on_train_begin()
    events.on_epoch_end(0, {"loss": 1.0})
    (file,) = (tmp_path / "logs").iterdir()
    room = file.stat().st_size + 20
    with limited_files(room):
        events.on_epoch_end(1, {"loss": 2.0})
        events.on_epoch_end(2, {"loss": 3.0})
    assert file.stat().st_size == room
    events.on_epoch_end(3, {"loss": 4.0})
    records = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    assert [Event.FromString(record).step for record in records] == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_a_full_disk_at_the_end(job, run_tool, small_file, tmp_path):
    _, done = job
    workdir = tmp_path / "out"
    shutil.copytree(done, workdir)
    shutil.rmtree(workdir / "saved_model")
    checkpoints = sorted((workdir / "checkpoints").iterdir())
    command = (
        "grow",
        f"--model={small_file}",
        "--target_macs=120e3",
        f"--workdir={workdir}",
        *(*TINY, *SHORT),
    )
    limit = too_small_for(done / "saved_model")
    process = run_tool(*command, prepare=lambda: limit_files(limit))
    assert process.returncode == 4
    assert process.stderr.startswith("error: [Errno 27] File too large: ")
    assert process.stderr.count("\n") == 1
    assert f"the job stays saved in {workdir / 'checkpoints'}" in process.stdout
    assert f"--workdir={workdir}" in process.stdout.splitlines()[-1]
    assert not list(workdir.glob("*saved_model*"))
    assert sorted((workdir / "checkpoints").iterdir()) == checkpoints

    process = run_tool(*command)
    assert process.returncode == 0, process.stderr
    assert {path.name for path in workdir.iterdir()} == {
        path.name for path in done.iterdir()
    }


def without_rights_of_root():
    """Permissions count for this process, whoever runs it."""
    drop_from_bounding_set, override_permissions = 24, 1
    if os.geteuid() == 0 and ctypes.CDLL(None).prctl(
        drop_from_bounding_set, override_permissions, 0, 0, 0
    ):
        raise OSError


@pytest.mark.slow
def test_a_folder_that_may_not_be_written_is_told(run_tool, small_file, tmp_path):
    workdir = tmp_path / "out"
    workdir.mkdir(mode=0o500)
    try:
        process = run_tool(
            "grow",
            f"--model={small_file}",
            "--target_macs=120e3",
            f"--workdir={workdir}",
            prepare=without_rights_of_root,
        )
    except subprocess.SubprocessError:
        pytest.skip("root keeps its rights here")
    assert process.returncode == 2
    assert process.stderr.startswith(f"error: --workdir={workdir} cannot be written to")
    assert "Permission denied" in process.stderr
    assert "Traceback" not in process.stderr
    assert "epoch" not in process.stdout
    assert not list(workdir.iterdir())
