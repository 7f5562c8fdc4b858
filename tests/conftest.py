"""Settings of the whole suite: quiet TensorFlow, fixed seeds, float64, `--slow`.

Fixtures import Keras, not this file: it is read by pytest-xdist's controlling process
too, which needs none of it and starts its workers four seconds sooner.
"""

import gc
import os
from contextlib import contextmanager

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Processes side by side: threads of one would only wait for those of another.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import pytest
from browsing import browser  # noqa: F401


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the slow tests")
    parser.addoption(
        "--exhaustive", action="store_true", help="also run siblings of what is tested"
    )


def pytest_collection_modifyitems(config, items):
    for name in ("slow", "exhaustive"):
        skip = pytest.mark.skip(reason=f"{name}: run with --{name}")
        for item in items:
            if name in item.keywords and not config.getoption(f"--{name}"):
                item.add_marker(skip)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """What is imported stays: nobody looks for garbage in it, now or later.

    TensorFlow, JAX and the test files make half a million objects, and going through
    them took a second and more after every file.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def seeds():
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def fresh_session():
    """Models of one file are gone before the next file starts."""
    import keras

    from tf_splitting.growing.freeing import free_old_functions

    yield
    keras.utils.clear_session(free_memory=False)
    # What a process holds, it looks through for garbage again and again.
    free_old_functions()


@contextmanager
def building_in_float64():
    import keras

    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


@pytest.fixture
def float64():
    """Everything is built in float64 while the test runs."""
    with building_in_float64():
        yield


@pytest.fixture(scope="module")
def float64_throughout():
    """Everything is built in float64 while the tests of the file run."""
    with building_in_float64():
        yield


@pytest.fixture
def somewhere(tmp_path, monkeypatch):
    """An empty folder, where paths made up at random do no harm."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def deterministic():
    """Operations give the same bits every time, in all tests of the file."""
    import tensorflow as tf
    from tensorflow.python.framework.config import disable_op_determinism

    tf.config.experimental.enable_op_determinism()
    yield
    # TensorFlow has no public way back. Left on, it would make Keras warn of whatever
    # other tests of this process compile with XLA.
    disable_op_determinism()
