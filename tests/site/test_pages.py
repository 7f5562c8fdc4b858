"""What pages say, without building the site."""

import ast
import importlib
import re
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_splitting

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
TUTORIALS = sorted(
    path
    for path in (DOCS / "tutorials").glob("*.md")
    if "{code-cell}" in path.read_text()
)
CELL = re.compile(
    r"^```\{code-cell\} ipython3\n(?:---\n(.*?)^---\n)?(.*?)^```", re.S | re.M
)
ROOMS = ("", ".costs", ".data", ".exporting", ".layers", ".methods", ".models")


def documented():
    """Full names that the reference has an entry for."""
    found = set()
    for page in (DOCS / "api").glob("*.rst"):
        module = ""
        for kind, name in re.findall(
            r"^\.\. ([\w:]+):: (\S+)$", page.read_text(), re.M
        ):
            if kind == "currentmodule":
                module = name
            elif kind.startswith("auto") or kind == "py:data":
                found.add(f"{module}.{name}")
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_the_reference_has_every_public_name(room):
    module = importlib.import_module(f"tf_splitting{room}")
    rooms = {each.strip(".") for each in ROOMS}
    known = documented()
    for name in module.__all__:
        if name in rooms:
            continue
        # What a room passes on is in one place.
        places = {f"tf_splitting{each}.{name}" for each in (room, "", ".errors")}
        assert places & known, f"{module.__name__}.{name}: add it to a page of docs/api"


def test_the_reference_has_every_error():
    errors = importlib.import_module("tf_splitting.errors")
    ours = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert len(ours) > 10
    assert {f"tf_splitting.errors.{name}" for name in ours} <= documented()


def test_there_are_five_tutorials():
    assert len(TUTORIALS) == 5


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_the_code_of_a_tutorial_compiles(path):
    cells = CELL.findall(path.read_text())
    assert len(cells) == path.read_text().count("{code-cell}") >= 5
    for _, code in cells:
        ast.parse(re.sub(r"^:tags:.*\n", "", code))


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_what_a_tutorial_draws_is_said_in_words_and_is_in_the_gallery(path):
    drawn = 0
    for options, code in CELL.findall(path.read_text()):
        if "subplots(" in code:
            drawn += 1
            assert len(re.search(r"alt: (.*)", options)[1]) > 40
    kept = sorted(DOCS.glob(f"gallery/{path.stem}-*.png"))
    assert len(kept) == drawn >= 1, "run nox -s site"


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_the_text_of_a_tutorial_names_no_times(path):
    """They are those of the machine that ran it; cells print what they took."""
    text = CELL.sub("", path.read_text())
    found = re.search(r"[\d.]+ (ms|milliseconds?|s|seconds?|minutes?)\b", text)
    assert found is None, found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["own_layer", "own_cost"])
def test_the_code_of_a_guide_runs(name):
    runpy.run_path(str(DOCS / "guides" / f"{name}.py"))


@pytest.mark.slow
def test_the_code_of_the_guide_to_phones_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (DOCS / "guides" / "phones.md").read_text()
    grow, export, check = re.findall(r"^```python\n(.*?)^```", page, re.S | re.M)
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(8, 3, activation="relu")(x)
    x = keras.layers.Conv2D(8, 3, activation="relu")(x)
    x = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    generator = np.random.default_rng(0)
    x = generator.standard_normal((64, 8, 8, 3)).astype("float32")
    images = tf.data.Dataset.from_tensor_slices((x, np.arange(64) % 3)).batch(16)
    # As much larger as the guide's, of a model that trains in a test.
    assert "target_macs=6e7" in grow
    assert "training_epochs=12" in grow
    grow = grow.replace("6e7", str(2.5 * tf_splitting.count_macs(model)))
    names = {"tf_splitting": tf_splitting, "model": model, "images": images}
    exec(grow.replace("=12", "=1"), names)
    exec(export + check.replace("images_of_yours", "x"), names | {"x": x})
    grown = names["grown"]
    widths = [each.filters for each in grown.layers if hasattr(each, "filters")]
    assert sum(widths) > 16
    assert not any(width % 8 for width in widths)
    assert (tmp_path / "grown.tflite").stat().st_size > 0
