"""Settings of the whole suite: quiet TensorFlow, fixed seeds, float64, `--slow`."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Processes side by side: threads of one would only wait for those of another.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import keras
import pytest

from tf_splitting.growing.freeing import free_old_functions

# The frameworks' own objects, a million, are there for good: what looks for garbage
# need not go through them after every test file.
gc.collect()
gc.freeze()


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


@pytest.fixture(autouse=True)
def seeds():
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def fresh_session():
    """Models of one file are gone before the next file starts."""
    yield
    keras.utils.clear_session()
    # What a process holds, it looks through for garbage again and again.
    free_old_functions()


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
