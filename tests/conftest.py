"""Settings of the whole suite: quiet TensorFlow, fixed seeds, float64, `--slow`."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Processes side by side: threads of one would only wait for those of another.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import keras
import pytest


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the slow tests")


def pytest_collection_modifyitems(config, items):
    # The longest first: at the end it would keep one process busy and the other idle.
    items.sort(key=lambda item: item.name != "test_the_main_job")
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))


@pytest.fixture(autouse=True)
def seeds():
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def fresh_session():
    """Models of one file are gone before the next file starts."""
    yield
    keras.utils.clear_session()


@pytest.fixture
def float64():
    """Everything is built in float64 while the test runs."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


@pytest.fixture
def somewhere(tmp_path, monkeypatch):
    """An empty folder, where paths made up at random do no harm."""
    monkeypatch.chdir(tmp_path)
