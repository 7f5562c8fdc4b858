"""What is needed: bounds are those that are tested, and an old Keras is told so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nets
import pytest
from packaging.version import Version

import tf_splitting
from tf_splitting.errors import ModelError
from tf_splitting.requirements import OLDEST_KERAS, check_keras

pytestmark = pytest.mark.core

ROOT = Path(__file__).parent.parent


def bounds():
    """The lower bounds of all dependencies but those of developers alone."""
    text = (ROOT / "pyproject.toml").read_text()
    needed = text[text.index("\ndependencies = [") : text.index("\ndev = [")]
    return dict(re.findall(r'"([\w-]+)>=([\d.]+)"', needed))


def pins():
    text = (ROOT / "constraints-oldest.txt").read_text()
    return dict(re.findall(r"^([\w-]+)==([\d.]+)$", text, re.MULTILINE))


def test_the_oldest_environment_has_the_lower_bounds():
    pinned = pins()
    assert len(bounds()) >= 14
    for name, bound in bounds().items():
        assert Version(pinned[name]) == Version(bound), name


def test_the_oldest_keras_is_the_lower_bound():
    assert bounds()["keras"] == OLDEST_KERAS


@pytest.mark.parametrize("version", ["2.15.0", "3.9.2"])
def test_an_old_keras_is_refused_on_import(tmp_path, version):
    """Keras 2, also under its name tf_keras, says such a version."""
    (tmp_path / "keras.py").write_text(f"__version__ = {version!r}\n")
    done = subprocess.run(
        [sys.executable, "-c", "import tf_splitting"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: `import keras` gave Keras " + version)
    assert str(tmp_path) in last
    assert f'pip install --upgrade "keras>={bounds()["keras"]}"' in last
    assert f'"tensorflow>={bounds()["tensorflow"]}"' in last


@pytest.mark.parametrize("version", ["3.10.0", "3.16.0.dev2026", "4.0.0-rc1"])
def test_others_will_do(version):
    check_keras(version, "somewhere")


class Functional:
    """A stand-in for a model of tf_keras."""

    __module__ = "tf_keras.src.engine.functional"


@pytest.mark.parametrize("subclassed", [False, True])
@pytest.mark.parametrize(
    "function",
    [
        tf_splitting.trace,
        tf_splitting.count_macs,
        lambda model: tf_splitting.grow(model, nets.data(nets.dense()), target_macs=9),
    ],
)
def test_a_model_of_tf_keras_is_told_what_to_do(function, subclassed):
    model = type("Own", (Functional,), {})() if subclassed else Functional()
    with pytest.raises(ModelError, match=r"tf_keras \(Keras 2\).*import keras.*set_w"):
        function(model)
