"""Growing jobs on several devices and in several processes, by the tool's flags."""

import json
import re
import signal
import socket

import keras
import numpy as np
import pytest
from tool_runs import started

JOB = ("--rounds=1", "--epochs=2")
PEER_GONE, STOPPED = 5, 75
# Sums over examples in another order, after some dozen steps.
TOLERANCE = 1e-4
# Slower programs, sooner compiled.
QUICK = "--xla_backend_optimization_level=0"


def processes(workdir, small_file):
    """Both processes of a job on two hosts, of one device each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    shared = (f"--coordinator=localhost:{port}", "--processes=2")
    return [
        started(
            *(workdir, small_file, *JOB, *shared, f"--process_id={number}"),
            KERAS_BACKEND="jax",
            XLA_FLAGS=QUICK,
        )
        for number in range(2)
    ]


def ended(both, codes):
    """What both print, and complain of, having ended with these codes."""
    try:
        told = [process.communicate(timeout=300) for process in both]
    finally:
        for process in both:
            process.kill()
    assert [process.returncode for process in both] == codes, told
    # What JAX says of its connections.
    return [(re.sub(r"\[Gloo\].*\n", "", said), complaint) for said, complaint in told]


def wait_for(both, text):
    """The first one's line with a text."""
    for line in both[0].stdout:
        if text in line:
            return line
    raise AssertionError(ended(both, [0, 0]))


@pytest.mark.exhaustive
def test_processes_stop_together_and_end_as_one_with_two_devices(small_file, tmp_path):
    workdir = tmp_path / "hosts"
    both = processes(workdir, small_file)
    wait_for(both, "epoch 1/")
    both[1].kill()
    (_, complaint), _ = ended(both, [PEER_GONE, -signal.SIGKILL])
    assert "Process 0 of 2 cannot go on" in complaint
    assert "Start all of them again" in complaint
    assert "Traceback" not in complaint

    both = processes(workdir, small_file)
    assert "1 epochs done" in wait_for(both, "resuming from")
    both[1].send_signal(signal.SIGTERM)
    (said, _), (silence, _) = ended(both, [STOPPED, STOPPED])
    assert "another of its processes was asked to" in said
    assert not silence

    (said, _), (silence, _) = ended(processes(workdir, small_file), [0, 0])
    assert "devices: 2 of 2 processes share each batch" in said
    assert "resuming from" in said
    assert not silence

    alone = tmp_path / "devices"
    process = started(
        *(alone, small_file, *JOB, "--distribute=data_parallel", "--noexport"),
        KERAS_BACKEND="jax",
        XLA_FLAGS=f"{QUICK} --xla_force_host_platform_device_count=2",
    )
    ((said, _),) = ended([process], [0])
    assert "devices: 2 share each batch" in said
    assert (workdir / "saved_model").is_dir()
    losses, expected = (
        [
            [epoch["loss"], epoch["val_loss"]]
            for epoch in json.loads((folder / "history.json").read_text())["epochs"]
        ]
        for folder in (workdir, alone)
    )
    np.testing.assert_allclose(losses, expected, rtol=TOLERANCE)
    grown, one = (
        keras.saving.load_model(folder / "grown.keras", compile=False).get_weights()
        for folder in (workdir, alone)
    )
    for weight, expected in zip(grown, one, strict=True):
        np.testing.assert_allclose(weight, expected, atol=TOLERANCE)
