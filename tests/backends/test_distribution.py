"""Batches divided over devices: the plan and the weights of one device, and refusals.

Every job runs in a process of its own (`divided.py`): devices are counted once. Jobs of
several processes: `tests/tools/test_divided_jobs.py`.
"""

import os
import subprocess
import sys
from pathlib import Path

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

from tf_splitting import estimate, grow
from tf_splitting.data.sampling import Batch, Sample, divided
from tf_splitting.errors import BackendError, DataError, ModelError
from tf_splitting.requirements import KERAS
from tf_splitting.support.placement import Placement, placement_of
from tf_splitting.training.dividing import divide

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("divided.py")
PATHS = os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(SCRIPT.parent)])
# And slower programs, sooner compiled.
TWO_DEVICES = (
    "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
)
# Sums over examples in another order: after some dozen steps, of the largest number.
TOLERANCE = 1e-5


def start(backend, *arguments):
    return subprocess.Popen(
        [sys.executable, SCRIPT, *map(str, arguments)],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": PATHS,
            "XLA_FLAGS": TWO_DEVICES if "data_parallel" in arguments else "",
        },
        stderr=subprocess.PIPE,
        text=True,
    )


def results_of(file, process):
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    with np.load(file) as arrays:
        return dict(arrays)


def assert_same_job(one, other):
    assert one.keys() == other.keys()
    assert one["devices"] == 1
    assert other["devices"] == 2
    assert one["macs"] == other["macs"] > 0
    for key in one.keys() - {"devices"}:
        scale = max(float(np.abs(one[key]).max()), 0.1)
        np.testing.assert_allclose(
            one[key], other[key], rtol=0, atol=TOLERANCE * scale, err_msg=key
        )


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one device computes."""
    file = tmp_path_factory.mktemp("alone") / "one.npz"
    return results_of(file, start("tensorflow", "one", file))


@pytest.mark.exhaustive
def test_mirrored_replicas_grow_what_one_device_grows(alone, tmp_path):
    file = tmp_path / "mirrored.npz"
    assert_same_job(alone, results_of(file, start("tensorflow", "mirrored", file)))


@pytest.mark.slow
def test_data_parallel_devices_grow_what_one_device_grows(alone, tmp_path):
    file = tmp_path / "data_parallel.npz"
    assert_same_job(alone, results_of(file, start("jax", "data_parallel", file)))


def batch_of(size):
    return Batch(np.arange(size), np.arange(size))


def test_every_process_gets_its_rows():
    parts = [batch_of(11).x[Placement(4, 2, k).rows(11)] for k in range(2)]
    assert [part.tolist() for part in parts] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert batch_of(5).x[Placement().rows(5)].size == 5


def test_a_batch_smaller_than_the_devices_is_refused():
    with pytest.raises(DataError, match="3 examples, fewer than the 4 devices"):
        Placement(4).rows(3)
    with pytest.raises(DataError, match="fewer than the 4"):
        divided(Sample((batch_of(3), batch_of(2))), Placement(4))


def test_samples_leave_out_what_cannot_be_divided():
    sample = divided(Sample((batch_of(9), batch_of(3))), Placement(4))
    assert [batch.size for batch in sample.batches] == [8]


def test_streams_and_arrays_are_divided_alike():
    x = np.arange(11)
    stream = tf.data.Dataset.from_tensor_slices((x, x)).batch(5)
    rows = [batch[0].numpy().tolist() for batch in divide(stream, Placement(2, 2, 1))]
    assert rows == [[2, 3], [7, 8], []]
    whole = divide((x, x), Placement(2, 2, 1), 4)
    assert [whole[k][0].tolist() for k in range(3)] == [[2, 3], [6, 7], [9]]
    with pytest.raises(DataError, match="PyDataset"):
        divide(iter([(x, x)]), Placement(2))


def compiled(net):
    model = net()
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def test_a_model_from_outside_the_scope_is_refused():
    model = compiled(nets.dense)
    x, y = np.zeros((8, 5), "float32"), np.zeros(8)
    with (
        tf.distribute.MirroredStrategy(["CPU:0"]).scope(),
        pytest.raises(ModelError, match=r"outside the scope of the MirroredStrategy"),
    ):
        estimate(model, (x, y), verbose=0)


def test_strategies_that_do_not_work_are_refused():
    with (
        tf.distribute.MultiWorkerMirroredStrategy().scope(),
        pytest.raises(BackendError, match=r"Keras 3.15.*KERAS_BACKEND=jax"),
    ):
        placement_of(nets.dense())


@pytest.mark.skipif(KERAS < (3, 15), reason="Keras knows no devices on TensorFlow")
def test_a_distribution_that_keras_would_ignore_is_refused():
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    try:
        with pytest.raises(BackendError, match="ignores on the TensorFlow backend"):
            grow(compiled(nets.dense), (np.zeros((8, 5)), np.zeros(8)), target_macs=1e3)
    finally:
        keras.distribution.set_distribution(None)
