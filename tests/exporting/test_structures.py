"""Models of several inputs and outputs, in whatever structures, exported by name."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_splitting.errors import DataError, ModelError
from tf_splitting.exporting import (
    export_litert,
    export_saved_model,
    load_litert,
    load_saved_model,
)
from tf_splitting.exporting.loading import ExportError
from tf_splitting.requirements import KERAS

layers, ops = keras.layers, keras.ops
writes_litert = pytest.mark.skipif(
    KERAS < (3, 13), reason="Keras does not write LiteRT"
)


@pytest.fixture(autouse=True)
def converters_may_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def tensors():
    """Tokens, a mask, numbers; and two results of all three."""
    tokens = keras.Input((5,), dtype="int32", name="tokens")
    mask = keras.Input((5,), dtype="bool", name="mask")
    numbers = keras.Input((3,), name="numbers")
    embedded = layers.Embedding(7, 4)(tokens)
    seen = embedded * ops.expand_dims(ops.cast(mask, "float32"), -1)
    hidden = layers.Concatenate()([layers.Flatten()(seen), numbers])
    heads = [layers.Dense(2)(hidden), ops.cast(layers.Dense(3)(hidden) > 0, "int32")]
    return tokens, mask, numbers, *heads


def structured(kind):
    """The same graph, taken and yielded in other structures; and the outputs' names."""
    tokens, mask, numbers, one, other = tensors()
    inputs, outputs, names = {
        "lists": ([tokens, mask, numbers], [one, other], ["output_0", "output_1"]),
        "dicts": (
            {"tokens": tokens, "mask": mask, "numbers": numbers},
            {"zeta": one, "alpha": other},
            ["zeta", "alpha"],
        ),
        "other keys": (
            {"a": numbers, "b": tokens, "c": mask},
            (one, other),
            ["output_0", "output_1"],
        ),
        "nested": (
            {"text": (tokens, mask), "more": [numbers]},
            {"heads": [one, {"best": other}], "again": one},
            ["heads_0", "heads_1_best", "again"],
        ),
        "nested lists": (
            [[tokens, mask], numbers],
            [[one], (other,)],
            ["output_0_0", "output_1_0"],
        ),
    }[kind]
    results = {"zeta": one, "output_0": one, "heads_0": one, "output_0_0": one}
    results |= {"again": one}
    picked = {name: results.get(name, other) for name in names}
    return (
        keras.Model(inputs, outputs),
        keras.Model([tokens, mask, numbers], picked),
    )


def drawn(examples):
    generator = np.random.default_rng(2)
    return {
        "tokens": generator.integers(0, 7, (examples, 5)).astype("int32"),
        "mask": generator.random((examples, 5)) < 0.5,
        "numbers": generator.normal(size=(examples, 3)).astype("float32"),
    }


def check(run, reference):
    for examples in (1, 3):
        given = drawn(examples)
        expected = reference([given["tokens"], given["mask"], given["numbers"]])
        found = run(given)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, atol=1e-5)


KINDS = ["lists", "dicts", "other keys", "nested", "nested lists"]
SOME = pytest.mark.parametrize(
    "kind",
    [
        kind
        if kind in ("dicts", "nested")
        else pytest.param(kind, marks=pytest.mark.slow)
        for kind in KINDS
    ],
)


@SOME
def test_a_saved_model_computes_the_same_by_name(kind, tmp_path):
    model, reference = structured(kind)
    assert export_saved_model(model, tmp_path / "out") < 1e-5
    loaded = tf.saved_model.load(str(tmp_path / "out"))

    def plain(given):
        return loaded.signatures["serve"](
            **{name: tf.constant(array) for name, array in given.items()}
        )

    # TensorFlow alone, and what reads it here.
    for run in (plain, load_saved_model(tmp_path / "out").run):
        check(run, reference)


@writes_litert
@SOME
def test_litert_computes_the_same_by_name(kind, tmp_path):
    model, reference = structured(kind)
    assert export_litert(model, tmp_path / "out.tflite") < 1e-3
    runner = tf.lite.Interpreter(str(tmp_path / "out.tflite")).get_signature_runner()
    for run in (lambda given: runner(**given), load_litert(tmp_path / "out.tflite")):
        check(run, reference)


def test_serve_takes_inputs_as_the_model_does(tmp_path):
    model, _ = structured("nested")
    given = drawn(2)
    own = {"text": (given["tokens"], given["mask"]), "more": [given["numbers"]]}
    export_saved_model(model, tmp_path / "out", inputs=own)
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    found = loaded.serve(keras.tree.map_structure(tf.constant, own))
    np.testing.assert_allclose(found["again"], model(own)["again"], atol=1e-5)


def test_shapes_are_known_by_name(tmp_path):
    model, _ = structured("dicts")
    export_saved_model(model, tmp_path / "out")
    served = load_saved_model(tmp_path / "out")
    shapes = {"tokens": (None, 5), "mask": (None, 5), "numbers": (None, 3)}
    assert served.input_shape == shapes
    assert served.output_shape == {"zeta": (None, 2), "alpha": (None, 3)}


def test_wrong_inputs_of_what_was_exported(tmp_path):
    model, _ = structured("dicts")
    export_saved_model(model, tmp_path / "out")
    run = load_saved_model(tmp_path / "out").run
    given = drawn(2)
    with pytest.raises(DataError, match=r"\['numbers'\].*\['mask', 'numbers'"):
        run({"numbers": given["numbers"]})
    with pytest.raises(DataError, match="expected a dict of the inputs"):
        run(list(given.values()))
    with pytest.raises(DataError, match="'tokens'; expected int32"):
        run({**given, "tokens": given["tokens"] + 0.5})


def test_wrong_inputs_to_compare_on(tmp_path):
    model, _ = structured("dicts")
    with pytest.raises(DataError, match="also needs"):
        export_saved_model(model, tmp_path / "out", inputs={"mask": drawn(2)["mask"]})
    assert list(tmp_path.iterdir()) == []


def test_inputs_without_names_get_those_of_their_layers(tmp_path):
    first, second = keras.Input((2,)), keras.Input((2,))
    model = keras.Model([first, second], layers.Concatenate()([first, second]))
    export_saved_model(model, tmp_path / "out")
    served = load_saved_model(tmp_path / "out")
    names = [layer.name for layer in model.layers[:2]]
    x = np.random.default_rng(1).normal(size=(3, 2)).astype("float32")
    found = served.run(dict(zip(names, (x, 2 * x))))
    np.testing.assert_array_equal(found, np.concatenate([x, 2 * x], axis=1))


@writes_litert
def test_what_litert_cannot_run_is_told(tmp_path):
    x = keras.Input((3,))
    model = keras.Model(x, ops.argmax(layers.Dense(4)(x), -1))
    with pytest.raises(ExportError, match="interpreter does not run"):
        export_litert(model, tmp_path / "out.tflite")
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_would_share_a_name_are_refused(tmp_path):
    x = keras.Input((2,))
    model = keras.Model(x, {"a": {"b": x + 1}, "a_b": x + 2})
    with pytest.raises(ModelError, match="two of them alike"):
        export_saved_model(model, tmp_path / "out")
