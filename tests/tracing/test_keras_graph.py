"""Reading Keras' graph: this file fails when Keras changes its private API."""

import keras
import nets
import numpy as np
import pytest
from keras import layers, ops

from tf_splitting.errors import ModelError
from tf_splitting.tracing import flatten
from tf_splitting.tracing.keras_internals import mask_of, operation_types, with_mask

pytestmark = pytest.mark.core


def paths(model):
    return [call.path for call in flatten(model).calls]


def test_functional_calls_in_order():
    assert paths(nets.dense()) == ["first", "second", "logits"]


def test_sequential_calls_in_order():
    assert paths(nets.sequential()) == ["first", "second", "logits"]


def test_nested_models_are_inlined_with_their_names_in_front():
    assert paths(nets.nested()) == [
        "middle/before",
        "middle/inner/deep",
        "middle/behind",
        "act",
        "logits",
    ]


def test_a_shared_layer_is_listed_for_each_call():
    flat = flatten(nets.shared())
    names = [call.path for call in flat.calls]
    assert names.count("twice") == 2
    assert names.count("again") == 2
    assert flat.input_names == ("left", "right")
    first, second = (c for c in flat.calls if c.path == "again")
    assert second.inputs == first.outputs


def test_a_branch_depends_on_what_it_reads():
    flat = flatten(nets.residual())
    calls = {call.path: call for call in flat.calls}
    stem = calls["stem_bn"].outputs
    assert calls["mix"].inputs == stem
    assert calls["add"].inputs == (*stem, *calls["activation"].outputs)
    assert flat.outputs == calls["logits"].outputs
    assert flat.shapes[stem[0]] == (None, 4, 4, 5)


@pytest.mark.parametrize("name", nets.ALL)
def test_running_the_calls_computes_the_model(name):
    nets.assert_computed_by_its_calls(nets.randomized(nets.ALL[name]()))


def test_no_nodes_are_left_on_the_users_layers():
    model = nets.nested()
    counts = [len(layer._inbound_nodes) for layer in model.layers]
    flatten(model)
    assert [len(layer._inbound_nodes) for layer in model.layers] == counts


def test_further_arguments_are_noticed():
    x = inputs = keras.Input((4, 3))
    mask = keras.Input((4,), dtype="bool")
    x = layers.LSTM(2, name="lstm")(layers.Dense(3, name="dense")(x), mask=mask)
    calls = {c.path: c for c in flatten(keras.Model([inputs, mask], x)).calls}
    assert calls["dense"].plain
    assert not calls["lstm"].plain


def test_a_subclassed_model_is_refused():
    class Hidden(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ModelError, match=r"Hidden.*Functional or Sequential"):
        flatten(Hidden())


def test_an_unbuilt_sequential_is_refused():
    with pytest.raises(ModelError, match=r"has not been built.*keras\.Input"):
        flatten(keras.Sequential([layers.Dense(2)]))


def test_arguments_besides_tensors():
    x = inputs = keras.Input((4,))
    x = layers.Dense(4, name="dense")(x, training=False)
    x = x * 0.5 + inputs
    dense, product, total = flatten(keras.Model(inputs, x)).calls
    assert (dense.extras, dense.plain) == ((), True)
    assert (product.extras, product.plain) == ((0.5,), False)
    assert (total.extras, total.plain) == ((), True)
    x = np.ones((1, 4), "float32")
    np.testing.assert_array_equal(product.run(x), 0.5 * x)


def test_masks_are_seen_and_carried():
    words = keras.Input((5,), dtype="int32")
    x = layers.Embedding(4, 3, mask_zero=True, name="words")(words)
    x = layers.Dense(2, name="dense")(x)
    x = layers.LSTM(2, name="lstm")(x)
    calls = {call.path: call for call in flatten(keras.Model(words, x)).calls}
    assert calls["words"].masked
    assert calls["dense"].masked
    assert not calls["lstm"].masked
    assert not calls["lstm"].plain  # the mask comes by name
    tensor = ops.ones((1, 5, 3))
    assert mask_of(tensor) is None
    mask = ops.ones((1, 5), "bool")
    assert mask_of(layers.Dense(2)(with_mask(tensor, mask))) is mask


def test_a_nested_model_hands_on_masks():
    x = inner = keras.Input((5, 3))
    nested = keras.Model(inner, layers.Dense(2, name="dense")(x), name="nested")
    nested.supports_masking = True
    words = keras.Input((5,), dtype="int32")
    x = nested(layers.Embedding(4, 3, mask_zero=True, name="words")(words))
    flat = flatten(keras.Model(words, layers.Dense(2, name="behind")(x)))
    assert [call.path for call in flat.calls] == ["words", "nested/dense", "behind"]
    assert all(call.masked for call in flat.calls)


def test_operations_are_found_by_calling_their_function():
    (kind,) = operation_types(ops.relu)
    x = keras.Input((3,))
    assert type(ops.relu(x)._keras_history.operation) is kind
    assert operation_types(lambda x: ops.relu(ops.tanh(x))) == ()
    (product,) = operation_types(ops.multiply, 2)
    assert type((2 * x)._keras_history.operation) is product
