"""Model files that are damaged in all ways are one kind of error."""

import json
import random
import warnings
import zipfile

import keras
import nets
import pytest
import tiers

from tf_splitting.errors import ModelError
from tf_splitting.models.saved_models import read_model
from tf_splitting.requirements import KERAS

DAMAGES = 40


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.keras"
    nets.ready("dense").save(path)
    return path


@keras.saving.register_keras_serializable("tests")
class Own(keras.layers.Layer):
    """A layer that only those know who import this."""

    def call(self, x):
        return x


def parts(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path, contents):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def test_what_was_saved_is_read(saved):
    assert read_model(saved).compiled
    assert not read_model(str(saved), compile=False).compiled


@pytest.mark.parametrize(
    ("name", "words"),
    [("none.keras", "no model file"), ("", "is a folder"), ("text.keras", "7 bytes")],
)
def test_what_is_no_file_of_a_model(tmp_path, name, words):
    (tmp_path / "text.keras").write_text("a model")
    with pytest.raises(ModelError, match=words):
        read_model(tmp_path / name)


def test_a_file_that_was_cut_off(saved, tmp_path):
    whole = saved.read_bytes()
    cut = tmp_path / "cut.keras"
    for size in range(0, len(whole), len(whole) // DAMAGES):
        cut.write_bytes(whole[:size])
        with pytest.raises(ModelError, match="Copy or save the model again"):
            read_model(cut)


def only_model_errors(path):
    """Damage may go unnoticed; if it is noticed, the error is a documented one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read_model(path)
    except ModelError as error:
        return error
    return None


@pytest.mark.parametrize(
    "name",
    tiers.some(
        ["config.json", "model.weights.h5", "metadata.json"], ["model.weights.h5"]
    ),
)
def test_parts_that_were_overwritten(saved, tmp_path, name):
    generator = random.Random(0)
    contents = parts(saved)
    noticed = 0
    for _ in range(DAMAGES):
        content = bytearray(contents[name])
        for _ in range(generator.choice([1, 3, 10])):
            content[generator.randrange(len(content))] = generator.randrange(256)
        damaged = {**contents, name: bytes(content)}
        noticed += bool(only_model_errors(written(tmp_path / "bad.keras", damaged)))
    assert noticed or name == "metadata.json"


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff", None])
def test_a_config_that_is_none(saved, tmp_path, content):
    contents = {**parts(saved), "config.json": content}
    if content is None:
        del contents["config.json"]
    with pytest.raises(ModelError, match="No model can be loaded"):
        read_model(written(tmp_path / "bad.keras", contents))


def places(tree, path=()):
    """Every place in a tree of dicts and lists."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


@pytest.mark.skipif(KERAS < (3, 15), reason="Keras does not come back from some")
def test_a_config_that_was_edited(saved, tmp_path):
    contents = parts(saved)
    config = json.loads(contents["config.json"])
    generator = random.Random(0)
    noticed = 0
    for place in generator.sample(sorted(places(config), key=str), DAMAGES):
        edited = json.loads(contents["config.json"])
        inner = edited
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = generator.choice([None, "x", -1, [], {}, 3.5, True])
        changed = {**contents, "config.json": json.dumps(edited)}
        noticed += bool(only_model_errors(written(tmp_path / "bad.keras", changed)))
    assert noticed


def test_a_layer_that_nobody_knows(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, Own(name="own")(inputs))
    model.save(tmp_path / "own.keras")
    contents = parts(tmp_path / "own.keras")
    config = contents["config.json"].replace(b"Own", b"Unknown")
    contents["config.json"] = config
    with pytest.raises(ModelError, match=r"'Unknown'.*load it in Python"):
        read_model(written(tmp_path / "own.keras", contents))


def test_a_file_that_holds_no_model(tmp_path):
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    path = tmp_path / "layer.keras"
    keras.saving.save_model(keras.Sequential([keras.Input((3,)), layer]), path)
    contents = parts(path)
    config = keras.saving.serialize_keras_object(layer)
    contents["config.json"] = json.dumps(config)
    with pytest.raises(ModelError):
        read_model(written(path, contents))
